"""Repairs the tokens behind a syntax error, so that the parser finds the next error too.

The repair is small: a missing semicolon or closing brace is inserted. For other errors the
statement around the error is left out.
"""

from __future__ import annotations

from collections.abc import Sequence

from lark import Token

from mod_progress.config.builder import place_of
from mod_progress.config.errors import ConfigError, Place, Source
from mod_progress.config.terminals import CLOSE, END, OPEN, STARTS, in_words

#: The terminals of what is no part of the language, with the message about each.
MALFORMED = {
    "UNCLOSED": "this string is not closed",
    "UNKNOWN": "this is not part of the language; does it belong in quotes?",
}


def malformed(source: Source, tokens: Sequence[Token]) -> list[ConfigError]:
    """Return an error for each token that is no part of the language."""
    errors = []
    doubt = ""
    for token in tokens:
        if token.type == "STRING" and "\n" in token:
            doubt = f"; or is it the one that starts in line {token.line}?"
        elif token.type in MALFORMED:
            message = MALFORMED[token.type]
            message += doubt if token.type == "UNCLOSED" else ""
            errors.append(ConfigError(message, place_of(source, token)))
    return errors


class Stuck(Exception):
    """The parser cannot take the token at ``index``; it would take one of ``expected``."""

    def __init__(
        self,
        tokens: list[Token],
        index: int,
        expected: frozenset[str],
        statement: int,
        braces: Sequence[int],
    ) -> None:
        super().__init__(index)
        self._tokens = tokens
        self._index = index
        self._token = tokens[index]
        self._before = tokens[max(index - 1, 0)]
        self._expected = expected
        #: The index of the first token of the innermost statement, and those of the open braces.
        self._statement = statement
        self._braces = braces
        ends = self._token.type in STARTS | {"_RBRACE", END}
        self._lacks_semicolon = "_SEMICOLON" in expected and ends
        self._lacks_brace = "_RBRACE" in expected and self._token.type == END

    def errors(self, source: Source) -> list[ConfigError]:
        """Return what is wrong; nothing where `malformed` has the error."""
        token, before = place_of(source, self._token), place_of(source, self._before)
        if self._token.type in MALFORMED:
            return []
        if self._lacks_semicolon:
            swallowed = self._before.type == "UNCLOSED"
            end = Place(source, before.end, before.end)
            return [] if swallowed else [ConfigError("expected ';'", end)]
        if self._lacks_brace:
            brace = place_of(source, self._tokens[self._braces[-1]])
            return [ConfigError("this '{' is not closed", brace)]
        found = "the end of the file" if self._token.type == END else f"'{self._token}'"
        message = f"expected {in_words(self._expected)}, found {found}"
        hint = "==" if self._token.type == "_ASSIGN" and "COMPARE" in self._expected else ""
        return [ConfigError(message, token, hint=hint)]

    def repaired(self) -> list[Token]:
        """Return the tokens without the error."""
        before, after = self._tokens[: self._index], self._tokens[self._index :]
        if self._token.type == "UNCLOSED" and "_SEMICOLON" in self._expected:
            # The string that is not closed contains the semicolon of its line.
            return [*before, self._insertion("_SEMICOLON"), *after[1:]]
        if self._token.type in MALFORMED:
            return before + after[1:]
        if self._lacks_semicolon:
            return [*before, self._insertion("_SEMICOLON"), *after]
        if self._lacks_brace:
            return [*before, self._insertion("_RBRACE"), *after]
        return self._tokens[: self._statement] + self._tokens[self._statement_end() :]

    def _insertion(self, terminal: str) -> Token:
        end = self._before.end_pos
        return Token(terminal, "", end, end_pos=end)

    def _statement_end(self) -> int:
        """Return the index behind the innermost statement, which is more than that of its start."""
        compound = self._tokens[self._statement].type in ("_IF", "_SETUP")
        depth = 0
        for index in range(self._index, len(self._tokens) - 1):
            terminal = self._tokens[index].type
            following = self._tokens[index + 1].type
            depth += terminal in OPEN
            if terminal in CLOSE and depth:
                depth -= 1
                if compound and not depth and terminal == "_RBRACE" and following != "_ELSE":
                    return index + 1
            elif terminal == "_RBRACE":
                alone = index == self._statement
                return index + alone * (1 + (following == "_SEMICOLON"))
            elif terminal == "_SEMICOLON" and not depth:
                return index + 1
        return len(self._tokens) - 1
