"""The grammar, and the words for its terminals in errors."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache
from importlib.resources import files

from lark import Lark

#: Lark's name for the end of the file.
END = "$END"

OPEN = frozenset({"_LBRACE", "_LBRACKET", "_LPAREN"})
CLOSE = frozenset({"_RBRACE", "_RBRACKET", "_RPAREN"})

#: The terminals that a statement starts with.
STARTS = frozenset("NAME _IF _SETUP _INCLUDE LOCAL GLOBAL".split())

#: Sets of terminals with one word for all of them. Those with an empty word are left out.
_WORDS = {
    frozenset(
        "STRING INTEGER TRUE FALSE NONE DEFAULT NAME NOT NOT_WORD MINUS UNCLOSED UNKNOWN"
        " _CAST _LPAREN _LBRACKET _LBRACE".split()
    ): "a value",
    STARTS: "a directive",
    frozenset({"NAME", "LOCAL", "GLOBAL"}): "a directive for setup",
    frozenset("NAME NOT NOT_WORD _LPAREN".split()): "a variable of the request",
    frozenset("PLUS MINUS TIMES DIVIDE".split()): "",
    frozenset({"NAME"}): "a name",
    frozenset({"STRING"}): "a string",
    frozenset({"COMPARE"}): "a comparison",
    frozenset({END}): "",
}


@cache
def grammar() -> Lark:
    """Return the parser; it is built once, which takes 40 ms."""
    return Lark(
        files(__package__).joinpath("grammar.lark").read_text("utf-8"),
        start="file",
        parser="lalr",
        lexer="basic",
        propagate_positions=True,
    )


def in_words(terminals: Iterable[str]) -> str:
    """Return the words for the terminals: ``a value, ',' or ';'``."""
    rest = set(terminals)
    words = []
    for members, word in _WORDS.items():
        if members <= rest:
            rest -= members
            words += [word] if word else []
    words += sorted(f"'{grammar().get_terminal(name).pattern.value}'" for name in rest)
    return " or ".join(filter(None, [", ".join(words[:-1]), words[-1]]))
