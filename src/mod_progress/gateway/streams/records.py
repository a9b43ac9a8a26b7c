"""A body that goes on in records, each with a header that tells its size.

As `bypass` does, a large body moves in the kernel: only the headers come from Python.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from mod_progress.gateway.streams.body import Body, Count
from mod_progress.gateway.streams.bypass import FLAGS, Splice
from mod_progress.gateway.streams.stream import Stream


@dataclass(frozen=True, slots=True)
class Records:
    """Frames pieces of a body as records of at most ``longest`` bytes."""

    #: Returns the header of a record of so many bytes.
    header: Callable[[int], bytes]
    longest: int

    def __call__(self, data: bytes) -> bytes:
        """Return the records for a piece that is not empty."""
        return b"".join(self._framed(memoryview(data)))

    def _framed(self, data: memoryview) -> Iterator[bytes | memoryview]:
        for at in range(0, len(data), self.longest):
            piece = data[at : at + self.longest]
            yield self.header(len(piece))
            yield piece


class SpliceRecords(Splice):
    """From socket to socket, in records."""

    __slots__ = ("_header", "_left", "_records")

    def __init__(self, body: Body, sink: Stream, sent: Count | None, records: Records) -> None:
        super().__init__(body, sink, sent)
        self._records = records
        # What is left of a record that the sink does not have whole: of its header, of its content.
        self._header = b""
        self._left = 0

    async def _prepare(self) -> None:
        await super()._prepare()
        self._sink.stream.cork(True)  # else each header is a segment of its own

    def _leave(self) -> None:
        super()._leave()
        self._sink.stream.cork(False)

    def _put(self, data: bytes) -> None:
        super()._put(self._records(data))

    def _drain(self, pipe: int) -> int:
        if not self._left:
            self._left = min(self._inside, self._records.longest)
            self._header = self._records.header(self._left)
        while self._header:
            written = os.write(self._sink.descriptor, self._header)
            self._header = self._header[written:]
            self._sink.stream.hand_over(written)
        size = os.splice(pipe, self._sink.descriptor, self._left, flags=FLAGS)
        self._left -= size
        self._sink.stream.hand_over(size)
        if self._sent is not None:
            self._sent(size)
        return size

    def _finish(self, error: Exception | None) -> None:
        if error is not None:
            self._end_record()
        super()._finish(error)

    def _end_record(self) -> None:
        """Let the transport end a record that has begun, so that what follows it is understood."""
        if self._left and self._pipe is not None and not self._sink.stream.gone:
            self._sink.stream.write(self._header + os.read(self._pipe[0], self._left))
            self._left = 0
