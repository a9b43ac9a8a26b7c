"""Backends that get a request as CGI variables and a body, whatever protocol carries them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Generic, TypeVar

from mod_progress.gateway.backends.cgi_exchange import CgiConnection, pass_on
from mod_progress.gateway.backends.faults import Stale
from mod_progress.gateway.backends.pool import ConnectionPool
from mod_progress.gateway.backends.spool import spooled
from mod_progress.gateway.exchange import Exchange
from mod_progress.gateway.state import ServerState
from mod_progress.gateway.streams.body import Body

C = TypeVar("C", bound=CgiConnection)


class CgiBackend(Generic[C]):
    """Serves exchanges by the server at an address."""

    def __init__(self, address: str, make: Callable[[ConnectionPool[C], ServerState], C]) -> None:
        """Take "host:port", "[v6]:port" or "unix:/path"; raises `AddressError` for another form.

        ``make`` returns a new connection of the backend's protocol.
        """
        #: The connections of this process to it.
        self.pool = ConnectionPool(address, make)

    async def serve(self, exchange: Exchange) -> None:
        """Send the request on, and relay the answer; see `backends.actions.Backend`.

        A request of unknown length is held back until it is whole: a program gets the length first
        (RFC 3875, section 4.1.2).
        """
        chunked = exchange.request.chunked
        if chunked or (exchange.buffer_request_body and not exchange.body.finished):
            async with spooled(exchange) as whole:
                await self._serve(exchange, whole)
        else:
            await self._serve(exchange, exchange.body)

    async def _serve(self, exchange: Exchange, body: Body) -> None:
        state, pool = exchange.client.state, self.pool
        try:
            await pass_on(exchange, await pool.connect(state), body)
        except Stale:
            await pass_on(exchange, await pool.connect(state, fresh=True), body)
