"""A message body as it arrives, without its framing, and counted.

The three framings of RFC 9112, section 6.3, have one interface. Whoever reads a body to its end
knows that it is whole. A body that was cut raises `Cut`.
"""

from __future__ import annotations

import asyncio
import math
import os
from collections.abc import Callable
from contextlib import suppress
from io import FileIO

from mod_progress.gateway.http.chunked import ChunkedDecoder
from mod_progress.gateway.http.heads import Refusal
from mod_progress.gateway.streams.errors import Cut
from mod_progress.gateway.streams.stream import Stream

#: Called with the number of bytes that arrived.
Count = Callable[[int], None]

#: Why a body is refused (413).
TOO_LARGE = "the body is too large"

#: The most bytes that one read returns.
_PIECE = 256 * 1024


class Body:
    """A body of a known length. The other kinds derive from it."""

    __slots__ = ("count", "remaining", "stream")

    def __init__(self, stream: Stream, length: int, count: Count | None = None) -> None:
        self.stream = stream
        #: Bytes that have not been taken yet; 1 until the end, where the length is not known.
        self.remaining = length
        self.count = count

    @property
    def finished(self) -> bool:
        """Whether the whole body was taken."""
        return not self.remaining

    def take(self) -> bytes:
        """Return what is here already, without waiting."""
        if not self.remaining:
            return b""
        data = self.stream.buffer.take(min(self.remaining, _PIECE))
        self.remaining -= len(data)
        return self._counted(data)

    def discard(self) -> None:
        """Take what is here already, and forget it. Broken framing shows when somebody reads on."""
        with suppress(Refusal):
            self.take()

    @property
    def at_hand(self) -> bool:
        """Whether more could be taken without waiting."""
        return bool(self.remaining and self.stream.buffer.size)

    async def read(self) -> bytes:
        """Return the next bytes, empty at the end; raises `Cut` where the peer went away."""
        while self.remaining:
            data = self.take()
            if self.at_hand:
                await asyncio.sleep(0)  # other clients have their turn
            if data:
                return data
            if self.remaining and not self.at_hand and not await self.stream.more():
                self._end_of_stream()
        return b""

    def _end_of_stream(self) -> None:
        raise Cut(self.stream, "the connection ended in the middle of a body")

    def _counted(self, data: bytes) -> bytes:
        if self.count is not None:
            self.count(len(data))
        return data


class ChunkedBody(Body):
    """A body in the chunked coding, no longer than ``limit`` bytes (0: any length)."""

    __slots__ = ("_decoder", "_room")

    def __init__(self, stream: Stream, limit: int = 0, count: Count | None = None) -> None:
        super().__init__(stream, 1, count)
        self._decoder = ChunkedDecoder()
        self._room = limit or math.inf

    def take(self) -> bytes:
        """Return what is here already; raises `Refusal` for broken framing or too much of it."""
        if not self.remaining:
            return b""
        decoder = self._decoder
        data = decoder.feed(b"" if decoder.more else self.stream.buffer.take(_PIECE))
        if decoder.finished:
            self.remaining = 0
            self.stream.buffer.put_back(decoder.rest)
        self._room -= len(data)
        if self._room < 0:
            raise Refusal(413, TOO_LARGE)
        return self._counted(data)

    @property
    def at_hand(self) -> bool:
        """Whether more could be taken without waiting."""
        return bool(self.remaining) and (self._decoder.more or bool(self.stream.buffer.size))


class UntilCloseBody(Body):
    """A response body that ends with its connection (RFC 9112, section 6.3, rule 8)."""

    __slots__ = ()

    def __init__(self, stream: Stream) -> None:
        super().__init__(stream, 1)

    def take(self) -> bytes:
        """Return what is here already."""
        return self._counted(self.stream.buffer.take(_PIECE))

    def _end_of_stream(self) -> None:
        if self.stream.lost:  # a reset, or a limit: a clean end leaves the connection half open
            raise Cut(self.stream, "the connection was reset in the middle of a body")
        self.remaining = 0


class FileBody(Body):
    """A part of a file, as a body. It never waits, so it has no stream."""

    __slots__ = ("file", "position")

    def __init__(self, file: FileIO, position: int, length: int) -> None:
        self.file = file
        self.position = position
        self.remaining = length
        self.count = None

    @property
    def at_hand(self) -> bool:
        """Whether more could be taken: a file never waits."""
        return not self.finished

    def take(self) -> bytes:
        """Return the next piece; raises OSError where the file became shorter."""
        data = os.pread(self.file.fileno(), min(self.remaining, _PIECE), self.position)
        if self.remaining and not data:
            raise OSError("the file became shorter while it was read")
        self.advance(len(data))
        return data

    def advance(self, size: int) -> None:
        """Note that ``size`` bytes were taken."""
        self.position += size
        self.remaining -= size


def request_body(stream: Stream, size: int | None, limit: int) -> Body:
    """Return the body of a request of ``size`` bytes, or of one that is chunked (None).

    Of a chunked body no more than ``limit`` bytes can be read (0: any number).
    """
    return ChunkedBody(stream, limit) if size is None else Body(stream, size)
