"""A backend that speaks HTTP/1.1."""

from __future__ import annotations

from collections.abc import Awaitable

from mod_progress.gateway.backends.faults import Stale
from mod_progress.gateway.backends.http_connection import HttpConnection
from mod_progress.gateway.backends.http_exchange import pass_on
from mod_progress.gateway.backends.http_shortcut import Shortcut, is_whole
from mod_progress.gateway.backends.pool import ConnectionPool
from mod_progress.gateway.backends.spool import spooled
from mod_progress.gateway.exchange import Exchange
from mod_progress.gateway.streams.body import Body


class HttpBackend:
    """Serves exchanges by the HTTP server at an address."""

    def __init__(self, address: str) -> None:
        """Take "host:port", "[v6]:port" or "unix:/path"; raises ValueError for another form."""
        #: The connections of this process to it.
        self.pool = ConnectionPool(address, HttpConnection)

    def serve(self, exchange: Exchange) -> Awaitable[None] | None:
        """Send the request on, and relay the answer; see `backends.actions.Backend`."""
        whole = is_whole(exchange) and exchange.sendfile is None
        if whole and (upstream := self.pool.take_idle()) is not None:
            Shortcut(exchange, upstream)
            return None
        if exchange.buffer_request_body and not exchange.body.finished:
            return self._serve_spooled(exchange)
        return self._serve(exchange)

    async def _serve_spooled(self, exchange: Exchange) -> None:
        async with spooled(exchange) as whole:
            await self._serve(exchange, whole)

    async def _serve(self, exchange: Exchange, whole: Body | None = None) -> None:
        """Ask the backend; ``whole`` is the request's body where it was held back."""
        state, pool = exchange.client.state, self.pool
        try:
            await pass_on(exchange, await pool.connect(state), whole)
        except Stale:
            await pass_on(exchange, await pool.connect(state, fresh=True), whole)
