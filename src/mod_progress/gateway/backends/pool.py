"""Connections to a backend: made, kept, given out again."""

from __future__ import annotations

import asyncio
import os
import re
import select
from collections import deque
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Protocol

from mod_progress.gateway.http.heads import HEAD_END, Refusal
from mod_progress.gateway.http.response import (
    ResponseHead,
    check_incomplete_response,
    parse_response,
)
from mod_progress.gateway.streams.stream import MOST_BUFFERED, NEVER, Cut, Stream

if TYPE_CHECKING:
    from mod_progress.gateway.server.worker import Worker

_ADDRESS = re.compile(r"(?:\[([0-9A-Fa-f:.]+)\]|([^:\[\]/]+)):([0-9]{1,5})").fullmatch


#: Seconds for which a connection is not used again after an answer without a body: a backend that
#: sends one all the same is found out meanwhile, and nobody else gets it.
QUARANTINE = 0.5


#: Seconds in which the loop may be trusted to have told of what came: its turns are shorter.
_JUST_NOW = 0.01


class Quick(Protocol):
    """An exchange that takes its answer in the connection's own callbacks."""

    def received(self, data: bytes) -> None:
        """The first bytes of the answer, perhaps all of it."""

    def go_the_long_way(self) -> None:
        """The backend will send nothing more."""

    def expired(self) -> None:
        """The backend was silent for too long."""


class UpstreamConnection(Stream):
    """One connection to a backend."""

    __slots__ = (
        "_released",
        "answered",
        "idle",
        "limits",
        "quick",
        "reused",
        "upstream",
        "usable_from",
        "worker",
    )

    def __init__(self, upstream: Upstream, worker: Worker) -> None:
        super().__init__(worker.loop)
        self.upstream = upstream
        self.worker = worker
        self.limits = worker.site.limits
        self.write_time = self.limits.upstream_send_time
        #: Whether an exchange was served before: such a connection may have been closed meanwhile.
        self.reused = False
        #: Whether it waits in the pool.
        self.idle = False
        #: When it may be used again, in the loop's time.
        self.usable_from = 0.0
        #: What takes the answer as it comes, where no task waits for it.
        self.quick: Quick | None = None
        # When its last exchange ended, in the loop's time.
        self._released = 0.0
        #: Whether a byte came since the last request was sent.
        self.answered = False

    def __str__(self) -> str:
        """Return the backend's address."""
        return self.upstream.address

    def data_received(self, data: bytes) -> None:
        """Keep what came; bytes that nobody asked for end an idle connection."""
        self.answered = True
        if self.quick is not None:
            self.quick.received(data)
            return
        super().data_received(data)
        if self._leave_pool():
            self.abort()

    def eof_received(self) -> bool:
        """Give up an idle connection that the backend closes."""
        half_open = super().eof_received()
        if self.quick is not None:
            self.quick.go_the_long_way()
        if self._leave_pool():
            self.close()
        return half_open

    def connection_lost(self, error: Exception | None) -> None:
        """Forget the connection, but not what the backend said before it went.

        A backend that answers early and closes resets the connection; where a write hears of it
        first, the transport ends with the answer unread.
        """
        if error is not None and self.reader is None:
            with suppress(OSError):
                self.buffer += os.read(self.descriptor, MOST_BUFFERED)
        super().connection_lost(error)
        self.worker.upstreams.discard(self)
        if self.quick is not None:
            self.quick.go_the_long_way()
        self._leave_pool()

    def read_expired(self) -> None:
        """Close an idle connection; whoever waits for the backend gets `Slow`."""
        if self._leave_pool():
            self.close()
        if self.quick is not None:
            self.quick.expired()
        super().read_expired()

    def _leave_pool(self) -> bool:
        """Be idle no longer; False where it was not."""
        if not self.idle:
            return False
        self.idle = False
        self.upstream.idle.remove(self)
        return True

    @property
    def usable(self) -> bool:
        """Whether it is out of quarantine."""
        return not self.usable_from or self.usable_from <= self.loop.time()

    @property
    def quiet(self) -> bool:
        """Whether nothing came, not even an end that the loop has not told of yet.

        The system is asked (a twentieth of a small request's time) where there was time for it.
        """
        if self.loop.time() - self._released < _JUST_NOW:
            return True
        poll = select.poll()
        poll.register(self.descriptor, select.POLLIN)
        return not poll.poll(0)

    async def response(self) -> ResponseHead:
        """Wait for the next head, interim ones too; raises `Cut`, `Slow` or `Refusal` (502)."""
        scanned = 0
        while (end := self.buffer.find(HEAD_END, scanned)) < 0:
            check_incomplete_response(self.buffer, scanned, self.worker.head_limits)
            scanned = max(0, len(self.buffer) - len(HEAD_END) + 1)
            if not await self.more():
                raise Cut(self, "the upstream closed before it answered")
        return parse_response(self.take(end + len(HEAD_END)), self.worker.head_limits)

    def expect_answer(self) -> None:
        """The backend has the whole request: from now on its silence counts."""
        self.read_time = self.limits.upstream_read_time
        if self._arrival is not None:
            self.expect_bytes()

    def release(self, bodiless: bool = False) -> None:
        """Give a connection back whose exchange was whole, both ways."""
        idle = self.upstream.idle
        if self.ended or self.buffer or len(idle) >= self.limits.upstream_idle:
            self.close()
            return
        self.reused = self.idle = True
        self._released = self.loop.time()
        self.read_deadline = self.worker.now + self.limits.upstream_idle_time
        self.resume_reading()
        if bodiless:
            self.usable_from = self._released + QUARANTINE
            idle.appendleft(self)
        else:
            idle.append(self)


class Upstream:
    """A backend, by its address."""

    def __init__(self, address: str) -> None:
        """Take "host:port", "[v6]:port" or "unix:/path"; raises ValueError for another form."""
        self.address = address
        self.path: str | None = None
        self.host, self.port = "", 0
        if address.startswith("unix:"):
            self.path = address.removeprefix("unix:")
        else:
            match = _ADDRESS(address)
            if match is None or not 0 < int(match[3]) < 65536:
                raise ValueError(f"{address!r} is neither host:port nor unix:/path")
            self.host, self.port = match[1] or match[2], int(match[3])
        #: Kept connections of this process, the last used at the right, those in quarantine left.
        self.idle: deque[UpstreamConnection] = deque()

    def take_idle(self) -> UpstreamConnection | None:
        """Return the kept connection that was used last and is still open, if there is one."""
        while self.idle and self.idle[-1].usable:
            connection = self.idle.pop()
            connection.idle = False
            connection.read_deadline = NEVER
            if connection.quiet:
                return connection
            connection.abort()
        return None

    async def connect(self, worker: Worker, fresh: bool = False) -> UpstreamConnection:
        """Return an idle connection, or a new one; raises `Refusal` (502, 504)."""
        kept = None if fresh else self.take_idle()
        if kept is not None:
            return kept
        make = partial(UpstreamConnection, self, worker)
        try:
            async with asyncio.timeout(worker.site.limits.connect_time):
                if self.path is not None:
                    _, made = await worker.loop.create_unix_connection(make, self.path)
                else:
                    _, made = await worker.loop.create_connection(make, self.host, self.port)
        except TimeoutError:
            raise Refusal(504, f"no connection to {self.address} in time") from None
        except OSError as error:
            raise Refusal(502, f"no connection to {self.address}: {error}") from None
        # Not before: one that is given up while it is made is never told that it is lost.
        if not made.lost:
            worker.upstreams.add(made)
        return made
