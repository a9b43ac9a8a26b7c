"""The actions that let a backend answer."""

from __future__ import annotations

from collections.abc import Awaitable
from dataclasses import dataclass

from mod_progress.gateway.backends.http import proxy
from mod_progress.gateway.backends.pool import Upstream
from mod_progress.gateway.exchange import Answering, Exchange


@dataclass(frozen=True, slots=True)
class Proxy(Answering):
    """Lets a backend answer."""

    upstream: Upstream

    def handle(self, exchange: Exchange) -> Awaitable[None] | None:
        """Relay the exchange."""
        return proxy(exchange, self.upstream)


@dataclass(frozen=True, slots=True)
class BufferRequestBody:
    """Says whether a backend hears of the request only when all of its body is here."""

    flag: bool

    def __call__(self, exchange: Exchange) -> None:
        """Tell whoever passes the request on."""
        exchange.buffer_request_body = self.flag
