"""Templates: texts with parts that each request fills in."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from urllib.parse import quote_from_bytes

from mod_progress.gateway.actions.conditions import Search
from mod_progress.gateway.exchange import Exchange

Match = re.Match[str] | re.Match[bytes]

#: Fills in one part, with what the action's own regular expression found, if it has one.
Part = Callable[[Exchange, Match | None], bytes]


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
            [part if isinstance(part, bytes) else part(exchange, match) for part in self.parts]
        )


def to_bytes(value: object) -> bytes:
    """Return what a variable or a capture holds, as it came."""
    if isinstance(value, bytes):
        return value
    if isinstance(value, bool):
        return b"TRUE" if value else b"FALSE"
    return str(value).encode("utf-8", "surrogateescape")


def variable(read: Callable[[Exchange], object]) -> Part:
    """Fill in a condition variable."""
    return lambda exchange, match: to_bytes(read(exchange))


def encoded(part: Part) -> Part:
    """Fill in a part percent-encoded, except for slashes."""
    return lambda exchange, match: quote_from_bytes(part(exchange, match)).encode()


def capture(number: int) -> Part:
    """Fill in a group of the action's own regular expression."""
    return lambda exchange, match: _group(match, number)


def outer_capture(number: int, searches: Sequence[Search]) -> Part:
    """Fill in a group of the first of ``searches`` that finds something."""

    def fill(exchange: Exchange, match: Match | None) -> bytes:
        for search in searches:
            found = search(exchange)
            if found is not None:
                return _group(found, number)
        return b""

    return fill


def _group(match: Match | None, number: int) -> bytes:
    if match is None or number > match.re.groups:
        return b""
    return to_bytes(match[number] or b"")
