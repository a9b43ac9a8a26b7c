"""The grammar, and what its terminals mean to who reads an error."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache
from importlib.resources import files

from lark import Lark

#: What lark calls the end of the file.
END = "$END"

OPEN = frozenset({"_LBRACE", "_LBRACKET", "_LPAREN"})
CLOSE = frozenset({"_RBRACE", "_RBRACKET", "_RPAREN"})

#: What a statement starts with.
STARTS = frozenset("NAME _IF _SETUP _INCLUDE LOCAL GLOBAL".split())

#: Sets of terminals with one word for all of them; those without one go without saying.
_WORDS = {
    frozenset(
        "STRING INTEGER TRUE FALSE NONE DEFAULT NAME NOT NOT_WORD MINUS UNCLOSED UNKNOWN"
        " _CAST _LPAREN _LBRACKET _LBRACE".split()
    ): "a value",
    STARTS: "a directive",
    frozenset({"NAME", "LOCAL", "GLOBAL"}): "a directive for setup",
    frozenset("NAME NOT NOT_WORD _LPAREN".split()): "a condition variable",
    frozenset("PLUS MINUS TIMES DIVIDE".split()): "",
    frozenset({"NAME"}): "a name",
    frozenset({"STRING"}): "a string",
    frozenset({"COMPARE"}): "a comparison",
    frozenset({END}): "",
}


@cache
def grammar() -> Lark:
    """Build the parser: once, as it takes 40 ms."""
    return Lark(
        files(__package__).joinpath("grammar.lark").read_text("utf-8"),
        start="file",
        parser="lalr",
        lexer="basic",
        propagate_positions=True,
    )


def in_words(terminals: Iterable[str]) -> str:
    """Say what any of the terminals is: ``a value, ',' or ';'``."""
    rest = set(terminals)
    words = []
    for members, word in _WORDS.items():
        if members <= rest:
            rest -= members
            words += [word] if word else []
    words += sorted(f"'{grammar().get_terminal(name).pattern.value}'" for name in rest)
    return " or ".join(filter(None, [", ".join(words[:-1]), words[-1]]))
