"""One socket: its bytes in and its bytes out, with flow control and a deadline for each direction.

A `Stream` is the protocol of a uvloop transport. Heads and small bodies come through the transport.
A large body bypasses the transport (see `relay`) and moves from and to `Stream.descriptor`.
"""

from __future__ import annotations

import asyncio
import logging
import math
import os
from typing import Protocol, cast

from mod_progress.gateway.streams import sockets
from mod_progress.gateway.streams.buffer import ReceiveBuffer
from mod_progress.gateway.streams.errors import Cut, Slow
from mod_progress.gateway.streams.readiness import readiness

logger = logging.getLogger("mod_progress.gateway")

#: Bytes that wait in a stream before it stops reading its socket.
MOST_BUFFERED = 128 * 1024

#: Bytes that the transport holds, beyond what the system took, before a writer has to wait.
MOST_UNWRITTEN = 128 * 1024

#: No deadline.
NEVER = math.inf


class Bypass(Protocol):
    """What moves a stream's bytes beside its transport."""

    def overdue(self, stream: Stream) -> None:
        """The peer let a deadline pass."""

    def reset(self, stream: Stream) -> None:
        """The peer reset the connection while its bytes were not read."""

    def lost(self, stream: Stream) -> None:
        """The connection is gone."""


class Stream(asyncio.Protocol):
    """One socket, as the gateway reads and writes it.

    Whoever waits for the peer does so until a deadline, and the worker's clock looks at all
    deadlines. So setting a deadline is setting a number, and costs no timer.
    """

    # Thousands are open at once. With a dictionary each they would take twice the memory.
    __slots__ = (
        "_acknowledged_before",
        "_arrival",
        "_ended_output",
        "_reading",
        "_room",
        "_unacknowledged_at_end",
        "blocked",
        "buffer",
        "carrier",
        "descriptor",
        "ended",
        "handed",
        "loop",
        "lost",
        "most_buffered",
        "read_deadline",
        "read_time",
        "reader",
        "transport",
        "write_deadline",
        "write_time",
        "writer",
    )

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.loop = loop
        self.transport: asyncio.Transport = None  # type: ignore[assignment]
        #: Under TLS, the transport that carries the records. The transport above it does not tell
        #: how many bytes wait in there.
        self.carrier: asyncio.Transport | None = None
        #: Seconds that the peer may take to send the next bytes, and to take some.
        self.read_time = NEVER
        self.write_time = NEVER
        #: When `read_expired` and `write_expired` are called, in the loop's time.
        self.read_deadline = NEVER
        self.write_deadline = NEVER
        #: What reads, and what writes, where the transport is bypassed.
        self.reader: Bypass | None = None
        self.writer: Bypass | None = None
        #: Bytes that wait here before the socket is no longer read.
        self.most_buffered = MOST_BUFFERED
        #: Bytes that were ever handed to the transport, or to the system beside it.
        self.handed = 0
        #: Whether writers have to wait for the peer to read.
        self.blocked = False
        #: Bytes that came and that nobody took yet.
        self.buffer = ReceiveBuffer()
        #: Whether the peer will send nothing more.
        self.ended = False
        #: Whether the connection is gone.
        self.lost = False
        #: The socket's file descriptor, valid until `connection_lost` has returned.
        self.descriptor = -1
        self._reading = True
        self._arrival: asyncio.Future[None] | None = None
        self._room: asyncio.Future[None] | None = None
        # Whether we told the peer that nothing more comes.
        self._ended_output = False
        # What the peer had not acknowledged when the connection was lost.
        self._unacknowledged_at_end = 0
        # What the peer had acknowledged when a writer began to wait for it.
        self._acknowledged_before = 0

    # What the transport calls.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take the transport."""
        self.transport = cast(asyncio.Transport, transport)
        self.transport.set_write_buffer_limits(MOST_UNWRITTEN)
        descriptor = transport.get_extra_info("socket").fileno()
        if self.encrypted:
            self._own(descriptor)
        else:
            self.descriptor = descriptor

    def _own(self, descriptor: int) -> None:
        """Take a duplicate: a TLS transport closes its socket before it calls `connection_lost`."""
        try:
            self.descriptor = os.dup(descriptor)
        except OSError as error:
            logger.error("a TLS connection is given up: %s", error.strerror)
            self.transport.abort()

    def data_received(self, data: bytes) -> None:
        """Keep what came, and wake who waits for it."""
        self.buffer.append(data)
        if self._reading and self.buffer.size >= self.most_buffered:
            self.pause_reading()
        self._wake()

    def eof_received(self) -> bool:
        """Note that the peer will send nothing more; we may still have to answer."""
        self.ended = True
        self._wake()
        return not self.encrypted

    def connection_lost(self, error: Exception | None) -> None:
        """Wake everybody who waits for this connection."""
        if not self._reading or self.writer is not None:
            readiness(self.loop).forget(self.descriptor)
        self._unacknowledged_at_end = self.unacknowledged()
        self.lost = self.ended = True
        if self.encrypted and self.descriptor >= 0:
            os.close(self.descriptor)
        for bypass in (self.reader, self.writer):
            if bypass is not None:
                bypass.lost(self)
        self._wake()
        self.resume_writing()

    def pause_writing(self) -> None:
        """Make writers wait."""
        if self._room is None:
            self._room = self.loop.create_future()
            self.blocked = True

    def resume_writing(self) -> None:
        """Let writers go on."""
        room, self._room = self._room, None
        self.blocked = False
        if room is not None and not room.done():
            room.set_result(None)

    def _wake(self) -> None:
        arrival, self._arrival = self._arrival, None
        if arrival is not None and not arrival.done():
            arrival.set_result(None)

    # What the gateway calls to read.

    async def more(self) -> bool:
        """Wait for bytes beyond those that wait already; False at the end of the stream."""
        if self.ended:
            return False
        self.resume_reading()
        before = self.buffer.size
        self._arrival = self.loop.create_future()
        self.expect_bytes()
        try:
            await self._arrival
        finally:
            self.expect_no_bytes()
        return self.buffer.size > before

    @property
    def awaited(self) -> bool:
        """Whether somebody waits for the peer to send."""
        return self._arrival is not None

    def expect_bytes(self) -> None:
        """Give the peer its time to send more."""
        self.read_deadline = self.loop.time() + self.read_time

    def expect_bytes_within(self, seconds: float) -> None:
        """Let the peer be silent for so long from now on; 0: for as long as it likes."""
        self.read_time = seconds or NEVER

    def expect_no_bytes(self) -> None:
        """Nobody waits for the peer to send."""
        self.read_deadline = NEVER

    def read_expired(self) -> None:
        """Whoever waits for the peer's bytes gets `Slow`."""
        self.read_deadline = NEVER
        if self.reader is not None:
            self.reader.overdue(self)
        arrival, self._arrival = self._arrival, None
        if arrival is not None and not arrival.done():
            arrival.set_exception(Slow(self, "the peer sent nothing in time"))

    def pause_reading(self) -> None:
        """Leave what the peer sends in its socket."""
        if self._reading and not self.lost:
            self._reading = False
            self.transport.pause_reading()
            readiness(self.loop).when_hung_up(self.descriptor, self._hung_up)

    def resume_reading(self) -> None:
        """Read the socket again."""
        if not self._reading and not self.lost:
            self._reading = True
            readiness(self.loop).when_hung_up(self.descriptor, None)
            self.transport.resume_reading()

    def bypass_reading(self, bypass: Bypass | None) -> None:
        """Let ``bypass`` read the socket beside the transport, or, with None, nobody."""
        self.reader = bypass

    def _hung_up(self, error: bool) -> None:
        if error or not self._ended_output:
            self.reset()

    def reset(self) -> None:
        """The peer reset the connection while we did not read it: the transport does not know."""
        if self.reader is not None:
            self.reader.reset(self)

    # What the gateway calls to write.

    def check(self) -> None:
        """Raise `Cut` where the connection is gone."""
        if self.lost:
            raise Cut(self, "the connection is gone")

    def write(self, data: bytes) -> None:
        """Hand ``data`` to the transport; raises `Cut` where the connection is gone."""
        if self.lost:
            self.check()
        self.handed += len(data)
        self.transport.write(data)

    async def drain(self) -> None:
        """Wait until the transport has room; raises `Cut` where the connection is gone."""
        if self._room is not None:
            self.expect_room()
            try:
                await self._room
            finally:
                self.expect_no_room()
        self.check()

    async def flush(self) -> None:
        """Wait until the system has taken all that was written."""
        if not self.lost and self.transport.get_write_buffer_size():
            self.transport.set_write_buffer_limits(0)
            await self.drain()
            if not self.lost:
                self.transport.set_write_buffer_limits(MOST_UNWRITTEN)

    def expect_room(self) -> None:
        """Give the peer its time to read some of what was written."""
        self._acknowledged_before = self.acknowledged
        self.write_deadline = self.loop.time() + self.write_time

    def expect_no_room(self) -> None:
        """Nobody waits for the peer to read."""
        self.write_deadline = NEVER

    def write_expired(self) -> None:
        """Give the peer up, unless it reads: room is told only when a third of a socket is free."""
        if self.acknowledged > self._acknowledged_before:
            self.expect_room()
        else:
            self.give_up_writing()

    def give_up_writing(self) -> None:
        """Give the peer up: whoever waits for it to read gets `Slow`."""
        self.write_deadline = NEVER
        if self.transport.is_closing():
            self.abort()
        if self.writer is not None:
            self.writer.overdue(self)
        if self._room is not None and not self._room.done():
            self._room.set_exception(Slow(self, "the peer read nothing in time"))

    def bypass_writing(self, bypass: Bypass | None) -> None:
        """Let ``bypass`` write to the socket beside the transport, or, with None, nobody."""
        self.writer = bypass

    def hand_over(self, size: int) -> None:
        """Count ``size`` bytes that the system took beside the transport."""
        self.handed += size

    def carry(self, transport: asyncio.BaseTransport) -> None:
        """Take the transport that carries the records of TLS, before the handshake."""
        self.carrier = cast(asyncio.Transport, transport)

    def carrier_lost(self) -> None:
        """Note that the connection is gone before the handshake of TLS has ended."""

    # How far the bytes are.

    def unacknowledged(self) -> int:
        """Return how many of the bytes that were handed over the peer has not acknowledged."""
        if self.lost:
            return self._unacknowledged_at_end
        if self.descriptor < 0:
            return self._unwritten
        return sockets.unacknowledged(self.descriptor) + self._unwritten

    @property
    def acknowledged(self) -> int:
        """How many bytes the peer has acknowledged, since the connection began."""
        return self.handed - self.unacknowledged()

    @property
    def _unwritten(self) -> int:
        """How many of the bytes that were handed over the system has not taken."""
        size = self.transport.get_write_buffer_size()
        return size if self.carrier is None else size + self.carrier.get_write_buffer_size()

    @property
    def unread(self) -> int:
        """How many bytes wait in the socket."""
        return sockets.unread(self.descriptor)

    @property
    def gone(self) -> bool:
        """Whether the socket is closed or about to be; `lost` follows a turn of the loop later."""
        return self.lost or (self.transport is not None and self.transport.is_closing())

    @property
    def encrypted(self) -> bool:
        """Whether the connection speaks TLS, so that other bytes go over the wire."""
        return self.carrier is not None

    def cork(self, corked: bool) -> None:
        """Send full segments only, or, uncorked, whatever there is; see `sockets.cork`."""
        if not self.gone:
            sockets.cork(self.descriptor, corked)

    def keep_alive(self) -> None:
        """Let the system find out that a silent peer is gone; see `sockets.keep_alive`."""
        if not self.gone:
            sockets.keep_alive(self.descriptor)

    # The end.

    def end(self) -> None:
        """Tell the peer that nothing more comes. The peer may still send, but not under TLS.

        The loop's TLS ends both directions at once.
        """
        if self.encrypted:
            self.close()
        elif not self.lost:
            self._ended_output = True
            self.transport.write_eof()

    def close(self) -> None:
        """Close when what was written has gone out; a peer that does not read it is cut."""
        if not self.gone:
            self.read_deadline = NEVER
            if self._unwritten:
                self.expect_room()
            self.transport.close()

    def abort(self) -> None:
        """Close at once and visibly: the peer sees a reset, never a clean end."""
        if self.transport is None:
            if self.carrier is not None:  # the handshake of TLS has not ended
                self.carrier.abort()
        elif not self.lost:
            if self.descriptor >= 0:
                sockets.reset_when_closed(self.descriptor)
            self.transport.abort()
