"""Connections to a backend: made, kept, and given out again."""

from __future__ import annotations

import asyncio
import os
import select
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import Any, Generic, TypeVar

from mod_progress.gateway.address import parse_address
from mod_progress.gateway.http.heads import Refusal
from mod_progress.gateway.state import ServerState
from mod_progress.gateway.streams.stream import MOST_BUFFERED, NEVER, Stream

#: Seconds for which a connection is not used again after an answer without a body. A backend that
#: sends a body all the same is found out in this time, and nobody else gets the body.
QUARANTINE = 0.5

#: Seconds in which the loop is trusted to have reported what came: its turns are shorter.
_JUST_NOW = 0.01


class UpstreamConnection(Stream):
    """One connection to a backend; its protocol is a subclass's."""

    __slots__ = (
        "_released",
        "answered",
        "idle",
        "limits",
        "pool",
        "reused",
        "state",
        "usable_from",
    )

    def __init__(self, pool: ConnectionPool[Any], state: ServerState) -> None:
        super().__init__(state.loop)
        self.pool = pool
        self.state = state
        self.limits = state.limits
        self.write_time = self.limits.upstream_send_time
        #: Whether it served an exchange before: it may have been closed meanwhile.
        self.reused = False
        #: Whether it waits in the pool.
        self.idle = False
        #: When it may be used again, in the loop's time.
        self.usable_from = 0.0
        #: Whether a byte came since the last request was sent.
        self.answered = False
        # When its last exchange ended, in the loop's time.
        self._released = 0.0

    def __str__(self) -> str:
        """Return the backend's address."""
        return self.pool.address

    def data_received(self, data: bytes) -> None:
        """Keep what came; bytes that nobody asked for end an idle connection."""
        self.answered = True
        super().data_received(data)
        if self.pool.remove(self):
            self.abort()

    def eof_received(self) -> bool:
        """Give up an idle connection that the backend closes."""
        half_open = super().eof_received()
        if self.pool.remove(self):
            self.close()
        return half_open

    def connection_lost(self, error: Exception | None) -> None:
        """Forget the connection, but not what the backend said before it went.

        A backend that answers early and closes resets the connection. Where a write is the first
        to fail for it, the transport ends with the answer unread.
        """
        if error is not None and self.reader is None:
            with suppress(OSError):
                self.buffer.append(os.read(self.descriptor, MOST_BUFFERED))
        super().connection_lost(error)
        self.state.streams.discard(self)
        self.pool.remove(self)

    def read_expired(self) -> None:
        """Close an idle connection; whoever waits for the backend gets `Slow`."""
        if self.pool.remove(self):
            self.close()
        super().read_expired()

    @property
    def usable(self) -> bool:
        """Whether it is out of quarantine."""
        return not self.usable_from or self.usable_from <= self.loop.time()

    @property
    def quiet(self) -> bool:
        """Whether nothing came, not even an end that the loop has not reported yet.

        The system is asked, which takes a twentieth of a small request's time, unless the
        connection was used just now.
        """
        if self.loop.time() - self._released < _JUST_NOW:
            return True
        poll = select.poll()
        poll.register(self.descriptor, select.POLLIN)
        return not poll.poll(0)

    def send_request(self, data: bytes) -> None:
        """Write the first bytes of a request."""
        self.write(data)
        self.answered = False

    def expect_answer(self) -> None:
        """The backend has the whole request: from now on its silence counts."""
        self.read_time = self.limits.upstream_read_time
        if self.awaited:
            self.expect_bytes()

    def give_up(self) -> None:
        """End the connection in the middle of an exchange: nobody waits for the answer any more."""
        self.abort()

    def release(self, bodiless: bool = False) -> None:
        """Give a connection back whose exchange was whole, both ways."""
        most = self.limits.upstream_idle
        if self.ended or self.buffer.size or not self.pool.keep(self, most, last=bodiless):
            self.close()
            return
        self.reused = True
        self._released = self.loop.time()
        self.read_deadline = self.state.now + self.limits.upstream_idle_time
        self.resume_reading()
        if bodiless:
            self.usable_from = self._released + QUARANTINE


C = TypeVar("C", bound=UpstreamConnection)


class ConnectionPool(Generic[C]):
    """The connections of this process to one backend."""

    def __init__(self, address: str, make: Callable[[ConnectionPool[C], ServerState], C]) -> None:
        """Take an address as `parse_address` does; raises `AddressError`.

        ``make`` returns a new connection of the backend's protocol.
        """
        self.address = address
        self.host, self.port, self.path = parse_address(address)[:3]
        self._make = make
        # The connection that was used last is at the right, those in quarantine are at the left.
        self._idle: deque[C] = deque()

    def keep(self, connection: C, most: int, *, last: bool) -> bool:
        """Keep an idle connection, to be taken next or, with ``last``, after all others.

        Returns False where ``most`` connections are kept already.
        """
        if len(self._idle) >= most:
            return False
        connection.idle = True
        if last:
            self._idle.appendleft(connection)
        else:
            self._idle.append(connection)
        return True

    def remove(self, connection: C) -> bool:
        """Keep a connection no longer; False where it was not idle."""
        if not connection.idle:
            return False
        connection.idle = False
        self._idle.remove(connection)
        return True

    def take_idle(self) -> C | None:
        """Return the kept connection that was used last and is still open, if there is one."""
        while self._idle and self._idle[-1].usable:
            connection = self._idle.pop()
            connection.idle = False
            connection.read_deadline = NEVER
            if connection.quiet:
                return connection
            connection.abort()
        return None

    async def connect(self, state: ServerState, fresh: bool = False) -> C:
        """Return an idle connection, or a new one; raises `Refusal` (502, 504)."""
        kept = None if fresh else self.take_idle()
        if kept is not None:
            return kept
        make = partial(self._make, self, state)
        try:
            async with asyncio.timeout(state.limits.connect_time):
                if self.path is not None:
                    _, made = await state.loop.create_unix_connection(make, self.path)
                else:
                    _, made = await state.loop.create_connection(make, self.host, self.port)
        except TimeoutError:
            raise Refusal(504, f"no connection to {self.address} in time") from None
        except OSError as error:
            raise Refusal(502, f"no connection to {self.address}: {error}") from None
        # A connection that is given up while it is made never reports that it is lost. So it is
        # noted only here.
        if not made.lost:
            state.streams.add(made)
        return made
