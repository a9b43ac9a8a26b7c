"""One socket: its bytes in and its bytes out, with flow control and a deadline both ways.

A `Stream` is the protocol of a uvloop transport. Heads and small bodies come through the transport;
a large body bypasses it (see `relay`), from and to `descriptor`.
"""

from __future__ import annotations

import asyncio
import fcntl
import math
import os
import socket
import struct
import termios
from contextlib import suppress
from typing import Protocol, cast

from mod_progress.gateway.streams.hangups import hangups

#: Bytes that wait in a stream before it stops reading its socket.
MOST_BUFFERED = 128 * 1024

#: Bytes that the transport holds, beyond what the system took, before a writer has to wait.
MOST_UNWRITTEN = 128 * 1024


# struct linger: on, zero seconds.
_RESET = struct.pack("ii", 1, 0)

# What an ioctl that tells one number writes into.
_NUMBER = struct.Struct("i")

HAVE_CORK = hasattr(socket, "TCP_CORK")

#: No deadline.
NEVER = math.inf


class Cut(ConnectionError):
    """A peer went away in the middle of a message."""

    def __init__(self, stream: Stream, reason: str) -> None:
        super().__init__(reason)
        #: The side that is at fault.
        self.stream = stream


class Slow(Cut):
    """A peer did not read, or write, within its limit."""


class Bypass(Protocol):
    """What moves a stream's bytes beside its transport."""

    def overdue(self, stream: Stream) -> None:
        """The peer let a deadline pass."""

    def reset(self, stream: Stream) -> None:
        """The peer reset the connection while its bytes were not read."""


class Stream(asyncio.Protocol):
    """One socket, as the gateway reads and writes it.

    Whoever waits for the peer does so until a deadline, which the worker's clock watches: setting
    one is setting a number, and costs no timer.
    """

    # Thousands are open at once, and a dictionary each would be most of what they take.
    __slots__ = (
        "_arrival",
        "_had",
        "_left",
        "_reading",
        "_room",
        "_said_all",
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
        #: The transport that carries TLS's records: what it holds, the one above does not tell.
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
        #: Bytes that came and that nobody took yet.
        self.buffer = b""
        #: Whether the peer will send nothing more.
        self.ended = False
        #: Whether the connection is gone.
        self.lost = False
        self._reading = True
        #: The socket's file descriptor, valid until `connection_lost` has returned.
        self.descriptor = -1
        self._arrival: asyncio.Future[None] | None = None
        self._room: asyncio.Future[None] | None = None
        # Whether we told the peer that nothing more comes.
        self._said_all = False
        # What the peer had not acknowledged when the connection was lost.
        self._left = 0
        # What the peer had when we began to wait for it to read more.
        self._had = 0

    # What the transport calls.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take the transport."""
        self.transport = cast(asyncio.Transport, transport)
        self.transport.set_write_buffer_limits(MOST_UNWRITTEN)
        self.descriptor = transport.get_extra_info("socket").fileno()
        if self.encrypted:
            # A TLS transport closes its socket before it tells of it.
            self.descriptor = os.dup(self.descriptor)

    def data_received(self, data: bytes) -> None:
        """Keep what came, and wake who waits for it."""
        self.buffer = self.buffer + data if self.buffer else data
        if self._reading and len(self.buffer) >= self.most_buffered:
            self.pause_reading()
        self._wake()

    def eof_received(self) -> bool:
        """Note that the peer will send nothing more; we may still have to answer."""
        self.ended = True
        self._wake()
        return not self.encrypted

    def connection_lost(self, error: Exception | None) -> None:
        """Wake everybody who waits for this connection."""
        if not self._reading:
            hangups(self.loop).forget(self.descriptor)
        self._left = self.unacknowledged()
        self.lost = self.ended = True
        if self.encrypted:
            os.close(self.descriptor)
        self._wake()
        self.resume_writing()

    def pause_writing(self) -> None:
        """Make writers wait."""
        if self._room is None:
            self._room = self.loop.create_future()

    def resume_writing(self) -> None:
        """Let writers go on."""
        room, self._room = self._room, None
        if room is not None and not room.done():
            room.set_result(None)

    def _wake(self) -> None:
        arrival, self._arrival = self._arrival, None
        if arrival is not None and not arrival.done():
            arrival.set_result(None)

    # What the gateway calls.

    async def more(self) -> bool:
        """Wait for bytes beyond those in `buffer`; False at the end of the stream."""
        if self.ended:
            return False
        self.resume_reading()
        before = len(self.buffer)
        self._arrival = self.loop.create_future()
        self.expect_bytes()
        try:
            await self._arrival
        finally:
            self.expect_no_bytes()
        return len(self.buffer) > before

    def expect_bytes(self) -> None:
        """Give the peer its time to send more."""
        self.read_deadline = self.loop.time() + self.read_time

    def expect_no_bytes(self) -> None:
        """Nobody waits for the peer to send."""
        self.read_deadline = NEVER

    def expect_room(self) -> None:
        """Give the peer its time to read some of what was written."""
        self._had = self.handed - self.unacknowledged()
        self.write_deadline = self.loop.time() + self.write_time

    def expect_no_room(self) -> None:
        """Nobody waits for the peer to read."""
        self.write_deadline = NEVER

    def read_expired(self) -> None:
        """Who waits for the peer's bytes gets `Slow`."""
        self.read_deadline = NEVER
        if self.reader is not None:
            self.reader.overdue(self)
        arrival, self._arrival = self._arrival, None
        if arrival is not None and not arrival.done():
            arrival.set_exception(Slow(self, "the peer sent nothing in time"))

    def write_expired(self) -> None:
        """Who waits for the peer to read gets `Slow`, if it has read nothing.

        There may be no room yet although the peer reads: a full socket has some only when a third
        of it was read.
        """
        if self.handed - self.unacknowledged() > self._had:
            self.expect_room()
            return
        self.write_deadline = NEVER
        if self.transport.is_closing():
            self.abort()
        if self.writer is not None:
            self.writer.overdue(self)
        if self._room is not None and not self._room.done():
            self._room.set_exception(Slow(self, "the peer read nothing in time"))

    def take(self, most: int) -> bytes:
        """Remove up to ``most`` bytes from `buffer`."""
        buffer = self.buffer
        if len(buffer) <= most:
            self.buffer = b""
            return buffer
        self.buffer = buffer[most:]
        return buffer[:most]

    def pause_reading(self) -> None:
        """Leave what the peer sends in its socket."""
        if self._reading and not self.lost:
            self._reading = False
            self.transport.pause_reading()
            hangups(self.loop).watch(self.descriptor, self._hung_up)

    def resume_reading(self) -> None:
        """Read the socket again."""
        if not self._reading and not self.lost:
            self._reading = True
            hangups(self.loop).forget(self.descriptor)
            self.transport.resume_reading()

    def _hung_up(self, error: bool) -> None:
        if error or not self._said_all:
            self.reset()

    def reset(self) -> None:
        """The peer reset the connection while we did not read it: the transport does not know."""
        if self.reader is not None:
            self.reader.reset(self)

    def write(self, data: bytes) -> None:
        """Hand ``data`` to the transport; raises `Cut` where the connection is gone."""
        if self.lost:
            raise Cut(self, "the connection is gone")
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
        if self.lost:
            raise Cut(self, "the connection is gone")

    async def flush(self) -> None:
        """Wait until the system has taken all that was written."""
        if not self.lost and self.transport.get_write_buffer_size():
            self.transport.set_write_buffer_limits(0)
            await self.drain()
            if not self.lost:
                self.transport.set_write_buffer_limits(MOST_UNWRITTEN)

    def unacknowledged(self) -> int:
        """Return how many of the bytes that were handed over the peer has not acknowledged."""
        if self.lost:
            return self._left
        # SIOCOUTQ, by its other name: what the peer's system has not acknowledged.
        queued = fcntl.ioctl(self.descriptor, termios.TIOCOUTQ, bytes(_NUMBER.size))
        return int(_NUMBER.unpack(queued)[0]) + self._unwritten

    @property
    def _unwritten(self) -> int:
        """Return how many of the bytes that were handed over the system has not taken."""
        size = self.transport.get_write_buffer_size()
        return size if self.carrier is None else size + self.carrier.get_write_buffer_size()

    @property
    def unread(self) -> int:
        """Return how many bytes wait in the socket."""
        queued = fcntl.ioctl(self.descriptor, termios.FIONREAD, bytes(_NUMBER.size))
        return int(_NUMBER.unpack(queued)[0])

    @property
    def gone(self) -> bool:
        """Whether the socket is closed, or about to be; `lost` follows a turn later."""
        return self.lost or self.transport.is_closing()

    @property
    def encrypted(self) -> bool:
        """Whether what is written is not what goes over the wire."""
        return self.carrier is not None

    def cork(self, corked: bool) -> None:
        """Send full segments alone, or, uncorked, whatever there is.

        A file's pages would go one by one else, as uvloop switches Nagle's algorithm off: corked, a
        large one takes half the time.
        """
        if not self.gone and HAVE_CORK:
            with suppress(OSError):  # a Unix socket has no segments
                self._set_option(socket.IPPROTO_TCP, socket.TCP_CORK, corked)

    def _set_option(self, level: int, option: int, value: int | bytes) -> None:
        borrowed = socket.socket(fileno=self.descriptor)
        try:
            borrowed.setsockopt(level, option, value)
        finally:
            borrowed.detach()

    def end(self) -> None:
        """Tell the peer that nothing more comes; it may still send, but not in TLS.

        The loop's TLS ends both directions at once.
        """
        if self.encrypted:
            self.close()
        elif not self.lost:
            self._said_all = True
            self.transport.write_eof()

    def close(self) -> None:
        """Close, after what was written went out; a peer that does not read it is cut."""
        if not self.gone:
            self.read_deadline = NEVER
            if self._unwritten:
                self.expect_room()
            self.transport.close()

    def abort(self) -> None:
        """Close at once, visibly: the peer sees a reset, never a clean end."""
        if not self.lost:
            with suppress(OSError):  # a Unix socket knows no reset
                self._set_option(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
            self.transport.abort()
