"""A connection to a backend that speaks HTTP/1.1."""

from __future__ import annotations

from typing import Any, Protocol

from mod_progress.gateway.backends.pool import ConnectionPool, UpstreamConnection
from mod_progress.gateway.http.heads import HEAD_END
from mod_progress.gateway.http.response import (
    ResponseHead,
    check_incomplete_response,
    parse_response,
)
from mod_progress.gateway.state import ServerState
from mod_progress.gateway.streams.errors import Cut
from mod_progress.gateway.streams.stream import NEVER


class Taker(Protocol):
    """What takes an answer in the connection's own callbacks, without a task."""

    def received(self, data: bytes) -> None:
        """The first bytes of the answer came, perhaps all of it."""

    def ended(self) -> None:
        """The backend will send nothing more."""

    def expired(self) -> None:
        """The backend was silent for too long."""


class HttpConnection(UpstreamConnection):
    """One connection to a backend; the responses of HTTP/1.1 come on it."""

    __slots__ = ("_taker",)

    def __init__(self, pool: ConnectionPool[Any], state: ServerState) -> None:
        super().__init__(pool, state)
        self._taker: Taker | None = None

    def hand_to(self, taker: Taker) -> None:
        """Let ``taker`` take the answer, which may not stay away for longer than the limit."""
        self._taker = taker
        self.read_deadline = self.state.now + self.read_time

    def take_back(self) -> None:
        """Let the answer wait again until somebody reads it."""
        self._taker = None
        self.read_deadline = NEVER

    def data_received(self, data: bytes) -> None:
        """Give the answer to who takes it, or keep it."""
        if self._taker is not None:
            self.answered = True
            self._taker.received(data)
        else:
            super().data_received(data)

    def eof_received(self) -> bool:
        """Note that the backend closes."""
        half_open = super().eof_received()
        if self._taker is not None:
            self._taker.ended()
        return half_open

    def connection_lost(self, error: Exception | None) -> None:
        """Tell who takes the answer, too."""
        super().connection_lost(error)
        if self._taker is not None:
            self._taker.ended()

    def read_expired(self) -> None:
        """Tell who takes the answer, too."""
        if self._taker is not None:
            self._taker.expired()
        super().read_expired()

    async def response(self) -> ResponseHead:
        """Wait for the next head, interim ones too; raises `Cut`, `Slow` or `Refusal` (502)."""
        buffer, limits = self.buffer, self.state.head_limits
        scanned = 0
        while (head := buffer.take_through(HEAD_END, scanned)) is None:
            check_incomplete_response(buffer.peek(), scanned, limits)
            scanned = max(0, buffer.size - len(HEAD_END) + 1)
            if not await self.more():
                raise Cut(self, "the upstream closed before it answered")
        return parse_response(head, limits)
