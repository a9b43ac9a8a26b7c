"""Patterns: texts with parts that each request fills in; and redirects, which are made of them."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import Enum
from urllib.parse import quote_from_bytes

from mod_progress.gateway.actions import Answering
from mod_progress.gateway.conditions import Search
from mod_progress.gateway.exchange import TEXT, Exchange

Match = re.Match[str] | re.Match[bytes]

#: Fills in one part, with what the action's own regular expression found, if it has one.
Part = Callable[[Exchange, Match | None], bytes]

#: Bytes of a URL that stay as they are: all that RFC 3986 knows, and the percent sign.
_URL_SAFE = b"!#$%&'()*+,/:;=?@[]~"


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


@dataclass(frozen=True, slots=True)
class RespondPattern(Answering):
    """Answers with a status and a text that is filled in."""

    status: int
    body: Pattern

    def handle(self, exchange: Exchange) -> None:
        """Answer."""
        exchange.respond(self.status, self.body.fill(exchange), TEXT)


class Target(Enum):
    """What of the request's URL the target of a redirect replaces."""

    URL = "all of it"
    PATH = "the path and the query"
    SIBLING = "what is behind the last slash of the path, and the query"
    QUERY = "the query"


@dataclass(frozen=True, slots=True)
class RedirectRule:
    """Where to; and for which paths, all unless there is an ``expression``."""

    pattern: Pattern
    target: Target = Target.URL
    expression: re.Pattern[str] | None = None

    def location(self, exchange: Exchange) -> bytes | None:
        """Return the URL to go to, or None where the path does not match."""
        path = exchange.request.path
        match = None
        if self.expression is not None:
            match = self.expression.search(path)
            if match is None:
                return None
        url = self._kept(exchange, path) + self.pattern.fill(exchange, match)
        return quote_from_bytes(url, _URL_SAFE).encode()

    def _kept(self, exchange: Exchange, path: str) -> bytes:
        if self.target is Target.URL:
            return b""
        host = exchange.request.host
        origin = b"%b://%b" % (exchange.connection.scheme.encode(), host) if host else b""
        if self.target is Target.PATH:
            return origin
        if self.target is Target.SIBLING:
            path = path[: path.rfind("/") + 1]
        return origin + quote_from_bytes(to_bytes(path)).encode()


@dataclass(frozen=True, slots=True)
class Redirect:
    """Sends the client to another URL: that of the first rule that matches the path."""

    rules: tuple[RedirectRule, ...]
    status: int = 301

    def __call__(self, exchange: Exchange) -> None:
        """Answer the request, if a rule matches and nothing has answered it before."""
        if exchange.handler is not None:
            return
        for rule in self.rules:
            location = rule.location(exchange)
            if location is not None:
                exchange.handler = Moved(self.status, location)
                return


@dataclass(frozen=True, slots=True)
class Moved:
    """Answers with a Location."""

    status: int
    location: bytes

    def handle(self, exchange: Exchange) -> None:
        """Answer."""
        exchange.respond(self.status, b"", b"Location: %b\r\n" % self.location)
