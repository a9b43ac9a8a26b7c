"""Moves a body from one stream to another, or to a file, and counts it.

On Linux, a large body of a known length never enters Python: splice(2) moves its bytes from socket
to pipe to socket or file, and sendfile(2) from a file to a socket. Chunked bodies, bodies under TLS
and those on other systems are copied. The interface and the counters are the same.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import suppress
from io import FileIO

from mod_progress.gateway.streams.body import Body, Count, FileBody
from mod_progress.gateway.streams.bypass import (
    HAVE_SENDFILE,
    HAVE_SPLICE,
    BodyBypass,
    SendFile,
    Splice,
    SpliceToFile,
)
from mod_progress.gateway.streams.disk import write
from mod_progress.gateway.streams.pipes import NoBypass
from mod_progress.gateway.streams.records import Records, SpliceRecords
from mod_progress.gateway.streams.stream import Stream

#: The least bytes of a body that bypasses Python. A smaller body is copied in less time.
SPLICE_FROM = 64 * 1024

#: Returns the bytes of the wire for a piece of a body, which is not empty.
Frame = Callable[[bytes], bytes]


def relay(
    body: Body, sink: Stream, *, frame: Frame | None = None, sent: Count | None = None
) -> Awaitable[None]:
    """Move what is left of ``body`` into ``sink``; raises `Cut` where either side goes away.

    ``frame`` puts each piece into a framing, such as the chunked coding, which the caller ends.
    ``sent`` counts what was handed over.
    """
    bypass = _bypass(body, sink, frame, sent)
    if bypass is None:
        return _copy(body, sink, frame, sent)
    return _bypass_or_copy(bypass, body, sink, frame, sent)


async def _bypass_or_copy(
    bypass: BodyBypass, body: Body, sink: Stream, frame: Frame | None, sent: Count | None
) -> None:
    try:
        await bypass.run()
    except NoBypass:
        await _copy(body, sink, frame, sent)


async def _copy(body: Body, sink: Stream, frame: Frame | None, sent: Count | None) -> None:
    while data := await body.read():
        sink.write(data if frame is None else frame(data))
        if sent is not None:
            sent(len(data))
        await sink.drain()


async def save(body: Body, file: FileIO) -> None:
    """Write what is left of ``body`` into ``file``; raises `Cut`, and OSError of the file."""
    if _can_splice(body):
        with suppress(NoBypass):
            await SpliceToFile(body, file).run()
    while data := await body.read():
        write(file, data)


def _bypass(body: Body, sink: Stream, frame: Frame | None, sent: Count | None) -> BodyBypass | None:
    """Return what moves the body in the kernel; None where it has to be copied."""
    if body.remaining < SPLICE_FROM or sink.encrypted:
        return None
    if frame is not None:
        if not isinstance(frame, Records) or not _can_splice(body):
            return None
        return SpliceRecords(body, sink, sent, frame)
    if HAVE_SENDFILE and isinstance(body, FileBody):
        return SendFile(body, sink, sent)
    return Splice(body, sink, sent) if _can_splice(body) else None


def _can_splice(body: Body) -> bool:
    return (
        HAVE_SPLICE
        and type(body) is Body
        and body.remaining >= SPLICE_FROM
        and not body.stream.encrypted
    )
