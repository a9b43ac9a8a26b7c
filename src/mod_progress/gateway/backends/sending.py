"""The rest of a request's body: a task sends it while the backend may answer already."""

from __future__ import annotations

import asyncio

from mod_progress.gateway.backends.pool import UpstreamConnection
from mod_progress.gateway.http.heads import Refusal
from mod_progress.gateway.streams.body import Body
from mod_progress.gateway.streams.errors import Cut, Slow
from mod_progress.gateway.streams.relay import Frame, relay


def send_rest(
    body: Body, upstream: UpstreamConnection, frame: Frame | None = None, end: bytes = b""
) -> asyncio.Task[None]:
    """Begin to send what is left of a body, each piece in its frame, and ``end`` after it."""
    upstream.expect_bytes_within(0)  # it need not answer before it has the request
    sending = upstream.loop.create_task(_send(body, upstream, frame, end))
    # Read the error: it may come when nobody asks for it any more, and asyncio would complain.
    sending.add_done_callback(lambda task: task.cancelled() or task.exception())
    return sending


async def _send(body: Body, upstream: UpstreamConnection, frame: Frame | None, end: bytes) -> None:
    """Relay the rest of the request's body. Where the client fails, the backend is told."""
    try:
        await relay(body, upstream, frame=frame)
        if end:
            upstream.write(end)
        upstream.expect_answer()
    except Cut as cut:
        if cut.stream is not upstream:
            upstream.give_up()
        elif isinstance(cut, Slow):
            upstream.abort()
        else:
            return  # it may have answered before it went: who reads the answer finds out
        raise
    except Refusal:
        upstream.give_up()
        raise
