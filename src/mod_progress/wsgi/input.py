"""The body of a tracked request, as a WSGI application reads it (``wsgi.input``, PEP 3333)."""

from __future__ import annotations

import errno
import sys
from collections.abc import Callable, Iterator
from functools import partial
from io import BytesIO
from typing import Any

from mod_progress.delivery.deliveries import Delivery
from mod_progress.transfer import Transfer

#: The most bytes that are read from the server at once. An app may ask for a whole body in one
#: call, which must be seen to move meanwhile.
BLOCK = 1 << 16


class Input:
    """Counts a request's body in every way to read it, and is otherwise the server's input.

    An input that can be rewound is counted once: ``received`` is how far it was read at most.
    """

    __slots__ = ("_delivery", "_input", "_position", "_size", "_transfer")

    def __init__(self, body: Any, transfer: Transfer, delivery: Delivery) -> None:
        self._input = body
        self._transfer = transfer
        self._delivery = delivery
        #: What follows a body is no part of it, though some servers let an app read it.
        self._size = sys.maxsize if transfer.request_size is None else transfer.request_size
        #: How many bytes of the body are before the place where the next read begins.
        self._position = 0

    def read(self, size: int | None = None) -> bytes:
        """Read ``size`` bytes, fewer where the body ends or the server gives fewer at a time."""
        if size is None or size < 0:
            return self._read_all()
        if size <= BLOCK:
            return self._take(self._input.read, size)
        return self._read_blocks(self._input.read, size, _is_short)

    def readline(self, size: int | None = None) -> bytes:
        """Read up to the end of a line, at most ``size`` bytes."""
        if size is None or size < 0:
            size = sys.maxsize
        line = self._take(self._input.readline, size if size < BLOCK else BLOCK)
        if len(line) < BLOCK or len(line) == size or line.endswith(b"\n"):
            return line
        return line + self._read_blocks(self._input.readline, size - BLOCK, _is_line)

    def readlines(self, hint: int | None = None) -> list[bytes]:
        """Read lines until they have ``hint`` bytes."""
        lines = []
        wanted = hint if hint is not None and hint > 0 else sys.maxsize
        while wanted > 0 and (line := self.readline()):
            lines.append(line)
            wanted -= len(line)
        return lines

    def readinto(self, buffer: bytearray | memoryview) -> int:
        """Read as many bytes as the buffer holds; return how many there were."""
        with memoryview(buffer).cast("B") as view:
            data = self.read(len(view))
            view[: len(data)] = data
        return len(data)

    def __iter__(self) -> Iterator[bytes]:
        """Read line by line."""
        return iter(self.readline, b"")

    def __next__(self) -> bytes:
        """Return the next line."""
        if line := self.readline():
            return line
        raise StopIteration

    def __getattr__(self, name: str) -> Any:
        """Return what only some inputs have; where it reads or moves, it is counted too."""
        found = getattr(self._input, name)
        if name == "read1":
            return partial(self._take, found)
        return {"readall": self._read_all, "seek": self._seek}.get(name, found)

    def _seek(self, *where: int) -> Any:
        before = self._input.tell()
        place = self._input.seek(*where)
        self._position += self._input.tell() - before
        return place

    def _read_all(self) -> bytes:
        whole = BytesIO()
        while data := self._take(self._input.read, BLOCK):
            whole.write(data)
        return whole.getvalue()

    def _read_blocks(
        self, read: Callable[[int], bytes], size: int, is_last: Callable[[bytes, int], bool]
    ) -> bytes:
        """Read up to ``size`` bytes in blocks, until there is one that is the last."""
        whole = BytesIO()
        while size > 0:
            wanted = min(size, BLOCK)
            data = self._take(read, wanted)
            whole.write(data)
            size -= len(data)
            if is_last(data, wanted):
                break
        return whole.getvalue()

    def _take(self, read: Callable[..., bytes], *size: int) -> bytes:
        """Read once, and count it."""
        if self._delivery.cancelled:
            raise cancelled()
        try:
            data = read(*size)
        except TypeError:
            raise  # the app passed something that is no size
        except Exception:
            self._delivery.cut()  # the client left, or broke its own framing
            raise
        position = self._position = self._position + len(data)
        transfer = self._transfer
        if position > transfer.received:
            transfer.received = position if position < self._size else self._size
        if self._delivery.cancelled:
            raise cancelled()  # it was cancelled meanwhile, which looks like the end of the body
        if not data and size != (0,):
            self._end()
        return data

    def _end(self) -> None:
        """There is no more to read: the body is here, or its sender is gone."""
        transfer = self._transfer
        if transfer.request_size is not None and transfer.received < transfer.request_size:
            self._delivery.cut()
        transfer.request_ended()


def cancelled() -> OSError:
    """Return what an app gets that reads or sends on for a transfer that was cancelled.

    Servers take it for a client that has left, and close the connection.
    """
    return ConnectionResetError(errno.ECONNRESET, "the transfer was cancelled")


def _is_short(data: bytes, wanted: int) -> bool:
    return len(data) < wanted


def _is_line(data: bytes, wanted: int) -> bool:
    return len(data) < wanted or data.endswith(b"\n")
