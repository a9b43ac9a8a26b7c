"""Bytes both ways between a client and a backend, after both have switched protocols."""

from __future__ import annotations

import asyncio

from mod_progress.gateway.streams.body import UntilCloseBody
from mod_progress.gateway.streams.errors import Slow
from mod_progress.gateway.streams.relay import relay
from mod_progress.gateway.streams.stream import Stream


async def tunnel(client: Stream, backend: Stream, idle_time: float) -> None:
    """Move bytes both ways until both sides have ended, or ``idle_time`` seconds without any.

    0 seconds: no limit. Raises `Cut`, and `Slow` after that time.
    """
    activity = _Activity(client.loop, idle_time)
    for stream in (client, backend):
        stream.keep_alive()
        stream.expect_bytes_within(idle_time)
    try:
        async with asyncio.TaskGroup() as directions:
            directions.create_task(_one_way(client, backend, activity))
            directions.create_task(_one_way(backend, client, activity))
    except ExceptionGroup as ends:
        raise ends.exceptions[0] from None


class _Activity:
    """When a byte last moved, in either direction."""

    def __init__(self, loop: asyncio.AbstractEventLoop, idle_time: float) -> None:
        self._loop = loop
        self._idle_time = idle_time
        self._last = loop.time()

    def note(self, size: int) -> None:
        """A byte moved."""
        self._last = self._loop.time()

    @property
    def recent(self) -> bool:
        """Whether a byte moved within the time."""
        return self._loop.time() - self._last < self._idle_time


async def _one_way(source: Stream, sink: Stream, activity: _Activity) -> None:
    body = UntilCloseBody(source)
    body.count = activity.note
    while not body.finished:
        try:
            await relay(body, sink)
        except Slow as slow:
            # One side may be silent for hours while the other talks.
            if slow.stream is not source or not activity.recent:
                raise
    await sink.flush()
    sink.end()
