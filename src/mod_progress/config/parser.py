"""Parses the text of a file to its syntax tree, and finds all its syntax errors."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from lark import Token, UnexpectedToken
from lark.exceptions import VisitError
from lark.parsers.lalr_interactive_parser import InteractiveParser

from mod_progress.config import tree
from mod_progress.config.builder import Builder, place_of
from mod_progress.config.errors import ConfigError, Place, Source
from mod_progress.config.recovery import MALFORMED, Stuck, malformed
from mod_progress.config.terminals import CLOSE, END, OPEN, grammar

#: Brackets and blocks within each other: far more than a person writes, and few enough for the
#: functions that walk the tree by recursion.
DEEPEST = 50

#: Errors after which a file is given up. Each costs two more parses, so a large file is given up
#: after fewer: after so many tokens in all.
MOST_ERRORS = 50
MOST_TOKENS = 200_000


def parse(source: Source) -> tuple[tree.Block, list[ConfigError]]:
    """Return the syntax tree of all that could be understood, and what could not."""
    tokens = _tokens(source)
    errors = malformed(source, tokens)
    bracket = _too_deep(tokens)
    if bracket is not None:
        message = f"more than {DEEPEST} brackets are open here"
        errors.append(ConfigError(message, place_of(source, bracket)))
        tokens = []
    end = tokens[-1].end_pos if tokens else 0
    tokens.append(Token(END, "", end, end_pos=end))
    read = 0
    while len(errors) <= MOST_ERRORS and read <= MOST_TOKENS:
        read += len(tokens)
        try:
            return _build(source, _feed(tokens)), errors
        except Stuck as stuck:
            errors += stuck.errors(source)
            tokens = stuck.repaired()
    return tree.Block(Place(source, 0, 0), ()), errors


def _tokens(source: Source) -> list[Token]:
    """Return the tokens, until there are too many that are no part of the language.

    To find the end of a string that has none, the lexer reads to the end of the file each time.
    """
    tokens, wrong = [], 0
    for token in grammar().lex(source.text):
        tokens.append(token)
        wrong += token.type in MALFORMED
        if wrong > MOST_ERRORS:
            break
    return tokens


def _build(source: Source, fed: Any) -> tree.Block:
    try:
        return Builder(source).transform(fed)
    except VisitError as error:
        raise error.orig_exc from None


def _too_deep(tokens: Sequence[Token]) -> Token | None:
    """Return the first bracket that is too deep, if there is one."""
    depth = 0
    for token in tokens:
        depth += (token.type in OPEN) - (token.type in CLOSE)
        if depth > DEEPEST:
            return token
    return None


def _feed(tokens: list[Token]) -> Any:
    """Return the parser's tree; raises `Stuck` at the first token that cannot stand there."""
    parser = grammar().parse_interactive()
    starts, braces = [0], list[int]()
    result = None
    for index, token in enumerate(tokens):
        if index and _ends_statement(tokens[index - 1], parser):
            starts[-1] = index
        try:
            result = parser.feed_token(token)
        except UnexpectedToken:
            expected = _expected(tokens[:index])
            raise Stuck(tokens, index, expected, starts[-1], braces) from None
        if token.type == "_LBRACE":
            starts.append(index + 1)
            braces.append(index)
        elif token.type == "_RBRACE":
            starts.pop()
            braces.pop()
    return result


def _ends_statement(token: Token, parser: InteractiveParser) -> bool:
    """Tell whether a statement can start behind ``token``, which was fed last."""
    return token.type == "_SEMICOLON" or (token.type == "_RBRACE" and "NAME" in _accepted(parser))


def _expected(tokens: Sequence[Token]) -> frozenset[str]:
    """Return the terminals that could follow; a parser that is stuck does not know them."""
    parser = grammar().parse_interactive()
    for token in tokens:
        parser.feed_token(token)
    return _accepted(parser)


def _accepted(parser: InteractiveParser) -> frozenset[str]:
    return frozenset(parser.accepts())  # type: ignore[no-untyped-call]
