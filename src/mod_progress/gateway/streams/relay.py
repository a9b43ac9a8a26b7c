"""Moving a body from here to there, and counting it.

A large body of a known length never enters Python: on Linux its bytes go from socket to pipe to
socket or file with splice(2), from a file to a socket with sendfile(2), the loop only counting.
Chunked bodies, TLS and other systems take the copying path: the same interface, the same counters.
"""

from __future__ import annotations

from collections.abc import Awaitable
from io import FileIO

from mod_progress.gateway.http.chunked import encode_chunk
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
from mod_progress.gateway.streams.stream import Stream

#: Bytes from which a body bypasses Python: below it, setting up costs more than copying.
SPLICE_FROM = 64 * 1024


def relay(
    body: Body, sink: Stream, *, chunked: bool = False, sent: Count | None = None
) -> Awaitable[None]:
    """Move what is left of ``body`` into ``sink``; raises `Cut` where either side goes away.

    ``chunked`` puts the chunked coding on, all but its last chunk. ``sent`` counts what was handed
    over.
    """
    bypass = None if chunked else _bypass(body, sink, sent)
    return _copy(body, sink, chunked, sent) if bypass is None else bypass.run()


async def _copy(body: Body, sink: Stream, chunked: bool, sent: Count | None) -> None:
    while data := body.take() or await body.read():
        sink.write(encode_chunk(data) if chunked else data)
        if sent is not None:
            sent(len(data))
        await sink.drain()


async def save(body: Body, file: FileIO) -> None:
    """Write what is left of ``body`` into ``file``; raises `Cut`, and OSError of the file."""
    if _can_splice(body):
        await SpliceToFile(body, file).run()
        return
    while data := body.take() or await body.read():
        write(file, data)


def _bypass(body: Body, sink: Stream, sent: Count | None) -> BodyBypass | None:
    """Return the body's way past Python, if there is one and the body is large enough for it."""
    if body.remaining < SPLICE_FROM or sink.encrypted:
        return None
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
