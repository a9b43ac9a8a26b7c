"""The connection of a client: who the client is, and how much of its responses the client has."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from threading import get_ident

from mod_progress.gateway.http.forwarded import UNKNOWN, Node, client_of
from mod_progress.gateway.http.request import RequestHead
from mod_progress.gateway.state import ServerState
from mod_progress.gateway.streams.stream import Stream
from mod_progress.transfer import Transfer


class Client(Stream):
    """The stream of one client."""

    __slots__ = ("_unsettled", "forwarded", "peer", "scheme", "state", "trusted")

    def __init__(self, state: ServerState, scheme: str) -> None:
        super().__init__(state.loop)
        self.state = state
        self.scheme = scheme
        self.read_time = self.write_time = state.limits.body_idle_time
        #: The client's address; unknown on a Unix socket.
        self.peer = UNKNOWN
        #: Whether the client is a front proxy that is believed in what it says of its own client.
        self.trusted = False
        #: The last request that went on to a backend, and the head that it went on with.
        self.forwarded: tuple[RequestHead | None, bytes] = None, b""
        # Transfers whose response is handed over, each with the position of its last byte. They
        # are done when the client has acknowledged that byte.
        self._unsettled: list[tuple[int, Transfer]] = []

    def carry(self, transport: asyncio.BaseTransport) -> None:
        """Learn who the client is, before the handshake of TLS."""
        super().carry(transport)
        self._meet(transport)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Learn who the client is."""
        super().connection_made(transport)
        if not self.encrypted:
            self._meet(transport)

    def _meet(self, transport: asyncio.BaseTransport) -> None:
        self.peer = _address(transport.get_extra_info("peername"))
        self.trusted = self.state.trusts(self.peer[0])
        self.state.streams.add(self)

    def connection_lost(self, error: Exception | None) -> None:
        """Settle what was handed over: what the client has is done, the rest is cut."""
        super().connection_lost(error)
        self.state.streams.discard(self)
        self._settle_all()
        self.state.forget(self)

    @property
    def local(self) -> Node:
        """Our own address."""
        return _address(self.transport.get_extra_info("sockname"))

    def origin_of(self, request: RequestHead) -> Node:
        """Return whom a request comes from: the client, or whom a trusted front proxy names."""
        if not self.trusted:
            return self.peer
        return client_of(request.fields, self.peer, self.state.trusts)

    def remember_forwarded(self, request: RequestHead, head: bytes) -> None:
        """Keep the head that a request went on with: a client often repeats its request."""
        self.forwarded = request, head

    def settle(self, transfer: Transfer) -> None:
        """Settle a transfer whose response is handed over, once the client has acknowledged it."""
        transfer.unacknowledged = self._unacknowledged_after_settling
        self._unsettled.append((self.handed, transfer))
        self.state.settle_soon(self)
        if self.lost:
            self._settle_all()

    def cancel(self, transfer: Transfer) -> None:
        """Close the connection: the transfer that it carries was cancelled. From any thread."""
        with suppress(RuntimeError):  # the loop has ended, and with it the connection
            self.loop.call_soon_threadsafe(self._abort_if_carrying, transfer)

    def _abort_if_carrying(self, transfer: Transfer) -> None:
        if self.carries(transfer):
            self.abort()

    def carries(self, transfer: Transfer) -> bool:
        """Whether the client still sends a transfer, or does not have all of its response."""
        return any(each is transfer for _, each in self._unsettled)

    def acknowledge(self) -> None:
        """Settle the transfers whose last byte the client has acknowledged."""
        if not self._unsettled:
            return
        reached = self.acknowledged
        while self._unsettled and self._unsettled[0][0] <= reached:
            self._unsettled.pop(0)[1].delivered()
        if self._unsettled:
            self.state.settle_soon(self)

    def _settle_all(self) -> None:
        """Settle all: the connection is gone, and the client gets nothing more."""
        self.acknowledge()
        while self._unsettled:
            self._unsettled.pop(0)[1].cut()

    def _unacknowledged_after_settling(self) -> int:
        """Settle what can be settled, whenever somebody looks at a transfer that is handed over.

        The publisher looks from a thread of its own, and must not settle.
        """
        if get_ident() == self.state.thread:
            self.acknowledge()
        return self.unacknowledged()


def _address(address: object) -> Node:
    if not isinstance(address, tuple):
        return UNKNOWN
    host: str = address[0]
    # A socket of systemd's may take IPv4 clients by an IPv6 socket (BindIPv6Only).
    return host.removeprefix("::ffff:") if "." in host else host, address[1]
