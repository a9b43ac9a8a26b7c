"""A client that has to keep up a least rate, with the body it sends and with the one it reads.

Who sends or reads a byte now and then would hold a connection, and a backend, for as long as it
likes.
"""

from __future__ import annotations

from mod_progress.gateway.client import Client
from mod_progress.gateway.exchange import Exchange
from mod_progress.gateway.state import ServerState
from mod_progress.gateway.streams.patience import Patience
from mod_progress.transfer import Transfer


class PacedClient(Client):
    """A client whose time to send and to read is bounded by the least rates of the limits."""

    __slots__ = ("_exchange", "_read_patience", "_send_patience", "limits")

    def __init__(self, state: ServerState, scheme: str) -> None:
        super().__init__(state, scheme)
        self.limits = state.limits
        #: The exchange in progress.
        self._exchange: Exchange | None = None
        # How long the client may still keep us waiting for the body of this exchange.
        self._send_patience: Patience | None = None
        # How long it may still keep us waiting until it reads.
        self._read_patience: Patience | None = None

    def carries(self, transfer: Transfer) -> bool:
        """Whether the client still sends a transfer, or does not have all of its response."""
        exchange = self._exchange
        return (exchange is not None and exchange.transfer is transfer) or super().carries(transfer)

    def expect_bytes(self) -> None:
        """Give the client its time, as long as its body keeps up the least rate."""
        exchange, rate = self._exchange, self.limits.body_least_rate
        if not rate or exchange is None or exchange.body.finished:
            super().expect_bytes()
            return
        if self._send_patience is None:
            self._send_patience = Patience(self.read_time, rate)
        received = exchange.transfer.received
        self.read_deadline = self._send_patience.begin(self.loop.time(), received)

    def expect_no_bytes(self) -> None:
        """Stop the client's time."""
        super().expect_no_bytes()
        if self._send_patience is not None:
            self._send_patience.end(self.loop.time())

    def expect_room(self) -> None:
        """Give the client its time to read, as long as it keeps up the least rate."""
        if not self.limits.response_least_rate:
            super().expect_room()
            return
        if self._read_patience is None:
            self._read_patience = Patience(self.write_time, self.limits.response_least_rate)
        now = self.loop.time()
        self._read_patience.end(now)
        self.write_deadline = self._read_patience.begin(now, self.acknowledged)

    def expect_no_room(self) -> None:
        """Stop the client's time."""
        super().expect_no_room()
        if self._read_patience is not None:
            self._read_patience.end(self.loop.time())

    def write_expired(self) -> None:
        """Cut the client, unless it has read enough since it began to keep us waiting."""
        if self._read_patience is None:
            super().write_expired()
            return
        self.expect_room()
        if self.write_deadline < self.state.now:
            self.give_up_writing()
