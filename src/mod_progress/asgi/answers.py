"""Sends the show room's answers through an ASGI server, on asyncio or on trio."""

from __future__ import annotations

import sys
from collections.abc import Awaitable, Callable
from concurrent.futures import Future
from contextlib import suppress
from typing import Any, Protocol

from mod_progress.asgi.exchange import Receive, Send
from mod_progress.framing import BODILESS
from mod_progress.show.answer import Answer, Stream
from mod_progress.show.events import MOST_LIFE
from mod_progress.show.ticker import Post

#: Seconds for which a client may take no byte of a stream whose time is over.
_PATIENCE = 10.0

#: Seconds in which a store that is far away has answered. What takes longer waits for news.
_STORE_TIME = 1.0


class _Bell(Protocol):
    """Wakes the task that waits."""

    def set(self) -> None: ...
    def clear(self) -> None: ...
    async def wait(self) -> object: ...


class _Library(Protocol):
    """What asyncio and trio have both, in other words."""

    #: Calls a function in the event loop's thread, from any thread.
    post: Post
    bell: _Bell

    async def within(self, seconds: float, work: Callable[[], Awaitable[object]]) -> bool:
        """Do the work; return False where it is not done in so many seconds."""

    async def beside(
        self, work: Callable[[], Awaitable[object]], other: Callable[[], Awaitable[object]]
    ) -> None:
        """Do the work, and until it is done the other work beside it."""


async def respond(
    answer: Answer | Future[Answer], method: str, receive: Receive, send: Send
) -> None:
    """Send an answer when it is there; a stream until it ends or the client leaves."""
    if isinstance(answer, Future):
        waited = await _wait(answer, receive)
        if waited is None:
            return
        answer = waited
    status, fields, body = answer
    headers = [(name.lower().encode(), value.encode()) for name, value in fields]
    if isinstance(body, bytes) and status not in BODILESS:
        headers.append((b"content-length", b"%d" % len(body)))
    await send({"type": "http.response.start", "status": status, "headers": headers})
    if method != "HEAD" and not isinstance(body, bytes):
        await _stream(body, receive, send)
    else:
        sent = body if method != "HEAD" and isinstance(body, bytes) else b""
        await send({"type": "http.response.body", "body": sent})


async def _wait(answer: Future[Answer], receive: Receive) -> Answer | None:
    """Wait for an answer; None where it waits for news and the client leaves."""
    library = _library()
    bell = library.bell

    def ring(answer: Future[Answer]) -> None:
        with suppress(RuntimeError):  # the event loop has ended
            library.post(bell.set)

    async def leave() -> None:
        await _wait_until_gone(receive)
        answer.cancel()

    answer.add_done_callback(ring)
    try:
        if not await library.within(_STORE_TIME, bell.wait):
            await library.beside(bell.wait, leave)
    finally:
        answer.cancel()
    return None if answer.cancelled() else answer.result()


async def _stream(stream: Stream, receive: Receive, send: Send) -> None:
    library = _library()

    async def leave() -> None:
        await _wait_until_gone(receive)
        stream.close()
        library.bell.set()

    async def serve() -> None:
        # A client that reads nothing keeps `send` waiting, also after the stream's time.
        await library.within(MOST_LIFE + _PATIENCE, lambda: _send_parts(stream, library.bell, send))

    stream.open(library.post, library.bell.set)
    try:
        await library.beside(serve, leave)
    finally:
        stream.close()


async def _send_parts(stream: Stream, bell: _Bell, send: Send) -> None:
    with suppress(OSError):  # the client has left (ASGI 2.4)
        while not stream.ended:
            bell.clear()
            part = stream.take()
            if part:
                await send({"type": "http.response.body", "body": part, "more_body": True})
            elif not stream.ended:
                await bell.wait()
        await send({"type": "http.response.body", "body": b""})


async def _wait_until_gone(receive: Receive) -> None:
    with suppress(Exception):  # what a server may raise when the client is gone
        while (await receive())["type"] != "http.disconnect":
            pass


def _library() -> _Library:
    trio = sys.modules.get("trio")
    if trio is not None and trio.lowlevel.in_trio_run():
        return _Trio(trio)
    import asyncio  # it is slow to import, and a server that runs on it has imported it already

    return _Asyncio(asyncio)


class _Asyncio:
    """The `_Library` of asyncio."""

    def __init__(self, asyncio: Any) -> None:
        self._asyncio = asyncio
        self.post: Post = asyncio.get_running_loop().call_soon_threadsafe
        self.bell: _Bell = asyncio.Event()

    async def within(self, seconds: float, work: Callable[[], Awaitable[object]]) -> bool:
        try:
            async with self._asyncio.timeout(seconds):
                await work()
        except TimeoutError:
            return False
        return True

    async def beside(
        self, work: Callable[[], Awaitable[object]], other: Callable[[], Awaitable[object]]
    ) -> None:
        task = self._asyncio.ensure_future(other())
        try:
            await work()
        finally:
            task.cancel()


class _Trio:
    """The `_Library` of trio."""

    def __init__(self, trio: Any) -> None:
        self._trio = trio
        self.post: Post = trio.lowlevel.current_trio_token().run_sync_soon
        self.bell: _Bell = _TrioBell(trio)

    async def within(self, seconds: float, work: Callable[[], Awaitable[object]]) -> bool:
        with self._trio.move_on_after(seconds) as scope:
            await work()
        return not scope.cancelled_caught

    async def beside(
        self, work: Callable[[], Awaitable[object]], other: Callable[[], Awaitable[object]]
    ) -> None:
        async with self._trio.open_nursery() as nursery:
            nursery.start_soon(other)
            await work()
            nursery.cancel_scope.cancel()


class _TrioBell:
    """An event that can be cleared, which trio's own cannot."""

    def __init__(self, trio: Any) -> None:
        self._make = trio.Event
        self._event = trio.Event()

    def set(self) -> None:
        self._event.set()

    def clear(self) -> None:
        if self._event.is_set():
            self._event = self._make()

    async def wait(self) -> object:
        return await self._event.wait()
