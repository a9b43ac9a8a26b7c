"""Holds a request back until its body is whole. A slow client then keeps no backend busy."""

from __future__ import annotations

import logging
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from mod_progress.gateway.exchange import Exchange
from mod_progress.gateway.http.heads import Refusal
from mod_progress.gateway.streams.body import Body, FileBody
from mod_progress.gateway.streams.disk import disk_errors, write
from mod_progress.gateway.streams.relay import save

logger = logging.getLogger("mod_progress.gateway")

#: Bytes of a body that are kept in memory; a larger one goes to a file.
MEMORY = 1024 * 1024


class MemoryBody(Body):
    """A body that is here already. It never waits, so it has no stream."""

    __slots__ = ("_data",)

    def __init__(self, data: bytes) -> None:
        self._data = data
        self.remaining = len(data)
        self.count = None

    def take(self) -> bytes:
        """Return all of it."""
        self.remaining = 0
        return self._data


class _HeldBody(FileBody):
    """A body that is whole in a file."""

    __slots__ = ()

    def take(self) -> bytes:
        """Return the next piece; raises `Refusal` (500) where the disk fails."""
        try:
            return super().take()
        except OSError as error:
            logger.error("cannot read a body that was held back: %s", error.strerror or error)
            raise Refusal(500, "the server cannot read its disk; its log says why") from None


@asynccontextmanager
async def spooled(exchange: Exchange) -> AsyncIterator[Body]:
    """Take the request's whole body, and yield it as one of a known size.

    Raises `Cut` and `Refusal` as the body itself does, and `Refusal` (507, 500) for the disk. The
    file has no name: it is gone with its last descriptor, however the process ends.
    """
    exchange.invite()
    body, size = exchange.body, exchange.request.body_size
    held = b""
    if size is None or size <= MEMORY:
        held = await _head(body)
    if body.finished:
        yield MemoryBody(held)
        return
    place = tempfile.gettempdir()
    with disk_errors(place):
        file = tempfile.TemporaryFile(buffering=0, dir=place)  # noqa: SIM115, closed below
    with file:
        with disk_errors(place):
            write(file, held)
            await save(body, file)
            whole = _HeldBody(file, 0, file.tell())
        yield whole


async def _head(body: Body) -> bytes:
    """Read as much as is kept in memory, or a little more."""
    pieces: list[bytes] = []
    size = 0
    while size < MEMORY and (piece := await body.read()):
        pieces.append(piece)
        size += len(piece)
    return b"".join(pieces)
