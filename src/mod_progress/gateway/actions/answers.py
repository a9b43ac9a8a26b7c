"""The actions that answer by themselves: `respond`, `redirect`, `access.deny`."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import Enum
from urllib.parse import quote_from_bytes

from mod_progress.gateway.actions.templates import Pattern, to_bytes
from mod_progress.gateway.exchange import TEXT, Answering, Exchange
from mod_progress.gateway.http.heads import Refusal

#: Bytes of a URL that are not encoded: those of RFC 3986, and the percent sign.
_URL_SAFE = b"!#$%&'()*+,/:;=?@[]~"


@dataclass(frozen=True, slots=True)
class Respond(Answering):
    """Answers with a status and a few words."""

    status: int
    body: bytes = b""

    def handle(self, exchange: Exchange) -> None:
        """Answer."""
        exchange.respond(self.status, self.body, TEXT)


@dataclass(frozen=True, slots=True)
class Deny(Answering):
    """Answers 403."""

    def handle(self, exchange: Exchange) -> None:
        """Refuse."""
        raise Refusal(403, "access is denied")


@dataclass(frozen=True, slots=True)
class RespondPattern(Answering):
    """Answers with a status and a text that is filled in."""

    status: int
    body: Pattern

    def handle(self, exchange: Exchange) -> None:
        """Answer."""
        exchange.respond(self.status, self.body.fill(exchange), TEXT)


class Target(Enum):
    """The part of the request's URL that a redirect replaces."""

    URL = "all of it"
    PATH = "the path and the query"
    SIBLING = "what is behind the last slash of the path, and the query"
    QUERY = "the query"


@dataclass(frozen=True, slots=True)
class RedirectRule:
    """One target of a redirect, for the paths that match ``expression``; None: for all."""

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
        host = exchange.request.as_received.host
        origin = b"%b://%b" % (exchange.client.scheme.encode(), host) if host else b""
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
