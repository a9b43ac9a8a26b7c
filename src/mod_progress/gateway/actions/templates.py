"""Templates: texts with parts that each request fills in."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from urllib.parse import quote_from_bytes

from mod_progress.gateway.actions.conditions import Search
from mod_progress.gateway.exchange import Exchange
from mod_progress.gateway.http.target import encode_unsafe

Match = re.Match[str] | re.Match[bytes]

#: Fills in one part, with what the action's own regular expression found, if it has one. Text is
#: decoded, bytes are as they came.
Part = Callable[[Exchange, Match | None], object]


@dataclass(frozen=True, slots=True)
class Pattern:
    """A text with parts to fill in."""

    parts: tuple[bytes | Part, ...]

    @property
    def constant(self) -> bytes | None:
        """The text, if there is nothing to fill in."""
        parts = [part for part in self.parts if isinstance(part, bytes)]
        return b"".join(parts) if len(parts) == len(self.parts) else None

    def fill(self, exchange: Exchange, match: Match | None = None) -> bytes:
        """Return the text for this request."""
        return b"".join(
            [
                part if isinstance(part, bytes) else to_bytes(part(exchange, match))
                for part in self.parts
            ]
        )

    def fill_encoded(self, exchange: Exchange, match: Match | None, safe: str) -> bytes:
        """Return a part of a target, with text percent-encoded except for ``safe`` characters."""
        filled = []
        for part in self.parts:
            value = part if isinstance(part, bytes) else part(exchange, match)
            encodes = isinstance(value, str)
            value = to_bytes(value)
            filled.append(quote_from_bytes(value, safe).encode() if encodes else value)
        return encode_unsafe(b"".join(filled))


def to_bytes(value: object) -> bytes:
    """Return what a variable or a capture holds, as it came."""
    if isinstance(value, bytes):
        return value
    if isinstance(value, bool):
        return b"TRUE" if value else b"FALSE"
    return str(value).encode("utf-8", "surrogateescape")


def variable(read: Callable[[Exchange], object]) -> Part:
    """Fill in a condition variable."""
    return lambda exchange, match: read(exchange)


def encoded(part: Part) -> Part:
    """Fill in a part percent-encoded, except for slashes."""
    return lambda exchange, match: quote_from_bytes(to_bytes(part(exchange, match))).encode()


def capture(number: int) -> Part:
    """Fill in a group of the action's own regular expression."""
    return lambda exchange, match: _group(match, number)


def outer_capture(number: int, searches: Sequence[Search]) -> Part:
    """Fill in a group of the first of ``searches`` that finds something."""

    def fill(exchange: Exchange, match: Match | None) -> object:
        for search in searches:
            found = search(exchange)
            if found is not None:
                return _group(found, number)
        return b""

    return fill


def _group(match: Match | None, number: int) -> str | bytes:
    if match is None or number > match.re.groups:
        return b""
    return match[number] or b""
