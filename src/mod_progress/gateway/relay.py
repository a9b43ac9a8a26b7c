"""Moving a body from here to there, and counting it.

A large body of a known length never enters Python: on Linux its bytes go from socket to pipe to
socket with splice(2), the loop only counting. Chunked bodies, TLS and other systems take the
copying path: the same interface, the same counters.
"""

from __future__ import annotations

import asyncio
import fcntl
import os
import select
from collections.abc import Callable
from contextlib import suppress
from weakref import WeakKeyDictionary

from mod_progress.gateway.body import Body, Count
from mod_progress.gateway.chunked import encode_chunk
from mod_progress.gateway.stream import NEVER, Cut, Slow, Stream

HAVE_SPLICE = hasattr(os, "splice")

#: Bytes from which a body is spliced: below it, setting up costs more than copying.
SPLICE_FROM = 64 * 1024

#: Bytes that a pipe is asked to hold, and that one system call moves at most. The kernel may give
#: less (/proc/sys/fs/pipe-max-size).
_PIPE_SIZE = 1024 * 1024

#: Bytes moved before the loop gets its turn, so that a fast transfer does not starve a show.
_TURN = 4 * 1024 * 1024

_FLAGS = os.SPLICE_F_MOVE | os.SPLICE_F_NONBLOCK if HAVE_SPLICE else 0


async def relay(
    body: Body, sink: Stream, *, chunked: bool = False, sent: Count | None = None
) -> None:
    """Move what is left of ``body`` into ``sink``; raises `Cut` where either side goes away.

    ``chunked`` puts the chunked coding on, all but its last chunk. ``sent`` counts what was handed
    over.
    """
    if not chunked and can_splice(body, sink):
        await Splice(body, sink, sent).run()
        return
    while data := body.take() or await body.read():
        sink.write(encode_chunk(data) if chunked else data)
        if sent is not None:
            sent(len(data))
        await sink.drain()


def can_splice(body: Body, sink: Stream) -> bool:
    """Whether a body can bypass Python, and is large enough to gain by it."""
    return (
        HAVE_SPLICE
        and type(body) is Body
        and body.remaining >= SPLICE_FROM
        and not body.stream.encrypted
        and not sink.encrypted
    )


class Pipes:
    """Pipes to borrow. One is held only while bytes are inside.

    So ten thousand slow transfers need few, and the per-user limit of pipe pages
    (/proc/sys/fs/pipe-user-pages-soft) is not reached.
    """

    _KEPT = 64

    def __init__(self) -> None:
        self._idle: list[tuple[int, int]] = []

    def borrow(self) -> tuple[int, int]:
        """Return the reading and the writing end of an empty pipe."""
        if self._idle:
            return self._idle.pop()
        reader, writer = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        with suppress(OSError):  # over the user's limit: the size that the kernel gave will do
            fcntl.fcntl(writer, fcntl.F_SETPIPE_SZ, _PIPE_SIZE)
        return reader, writer

    def give_back(self, pipe: tuple[int, int], empty: bool = True) -> None:
        """Take a pipe back; one that is not empty holds a cut body and is closed."""
        if empty and len(self._idle) < self._KEPT:
            self._idle.append(pipe)
        else:
            os.close(pipe[0])
            os.close(pipe[1])


_pipes = Pipes()


class Splice:
    """One body on its way from socket to socket, by the loop's readiness callbacks."""

    def __init__(self, body: Body, sink: Stream, sent: Count | None) -> None:
        self._body = body
        self._source = body.stream
        self._sink = sink
        self._sent = sent
        self._loop = sink.loop
        self._pipe: tuple[int, int] | None = None
        self._inside = 0
        # The readiness that we wait for: of none, of the source, or of the sink.
        self._waiting: Stream | None = None
        self._input = self._output = -1
        self._done: asyncio.Future[None] = self._loop.create_future()

    async def run(self) -> None:
        """Move the whole body; raises `Cut`, or `Slow` with the side that kept us waiting."""
        source, sink, body = self._source, self._sink, self._body
        source.pause_reading()
        while source.buffer and body.remaining:
            data = body.take()
            sink.write(data)
            if self._sent is not None:
                self._sent(len(data))
        await sink.flush()
        if not body.remaining:
            return
        # Duplicates, as the loop watches no descriptor that a transport of its own has.
        self._input, self._output = os.dup(source.descriptor), os.dup(sink.descriptor)
        source.overseer = sink.overseer = self._overdue
        try:
            self._pump()
            await self._done
        finally:
            source.overseer = sink.overseer = None
            self._wait_for(None)
            if self._pipe is not None:
                _pipes.give_back(self._pipe, empty=not self._inside)
            os.close(self._input)
            os.close(self._output)

    def _pump(self) -> None:
        """Move bytes until neither side is ready; try first, wait only where it would block."""
        try:
            self._move()
        except BlockingIOError:
            self._wait_for(self._sink if self._inside else self._source)
        except Cut as cut:
            self._finish(cut)
        except OSError as error:
            self._finish(Cut(self._sink if self._inside else self._source, str(error)))

    def _move(self) -> None:
        """Fill the pipe, empty it, and so on, for one turn of the loop."""
        body, moved = self._body, 0
        while body.remaining or self._inside:
            if moved >= _TURN:
                self._wait_for(self._sink if self._inside else self._source)
                return
            if not self._inside:
                self._fill()
            moved += self._drain()
        self._finish(None)

    def _fill(self) -> None:
        body = self._body
        if self._pipe is None:
            self._pipe = _pipes.borrow()
        most = min(body.remaining, _PIPE_SIZE)
        size = os.splice(self._input, self._pipe[1], most, flags=_FLAGS)
        if not size:
            raise Cut(self._source, "the connection ended in the middle of a body")
        self._inside = size
        body.remaining -= size
        if body.count is not None:
            body.count(size)

    def _drain(self) -> int:
        assert self._pipe is not None
        size = os.splice(self._pipe[0], self._output, self._inside, flags=_FLAGS)
        self._inside -= size
        self._sink.handed += size
        if self._sent is not None:
            self._sent(size)
        return size

    def _wait_for(self, stream: Stream | None) -> None:
        """Be called when ``stream`` is ready; the pipe goes back if nothing is inside."""
        source, sink, waiting = self._source, self._sink, self._waiting
        if stream is not waiting:
            self._waiting = stream
            if waiting is source:
                self._loop.remove_reader(self._input)
            elif waiting is sink:
                self._loop.remove_writer(self._output)
                hangups(self._loop).forget(self._input)
            if stream is source:
                self._loop.add_reader(self._input, self._pump)
            elif stream is sink:
                self._loop.add_writer(self._output, self._pump)
                hangups(self._loop).watch(self._input, self._source_gone)
        now = self._loop.time()
        source.read_deadline = now + source.read_time if stream is source else NEVER
        sink.write_deadline = now + sink.write_time if stream is sink else NEVER
        if self._pipe is not None and not self._inside:
            _pipes.give_back(self._pipe)
            self._pipe = None

    def _source_gone(self) -> None:
        """The source was reset while the sink kept us waiting: nothing will make it whole."""
        self._finish(Cut(self._source, "the connection was reset in the middle of a body"))

    def _overdue(self, stream: Stream) -> None:
        self._finish(Slow(stream, "the peer was too slow"))

    def _finish(self, error: Exception | None) -> None:
        if self._done.done():
            return
        if error is None:
            self._done.set_result(None)
        else:
            self._done.set_exception(error)


class Hangups:
    """Tells that a socket was reset while nobody reads it.

    A loop that waits only for the other side of a transfer would not hear of it: an epoll of its
    own, with no event asked for, reports a hang-up and nothing else.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._epoll = select.epoll()
        self._watched: dict[int, Callable[[], None]] = {}
        loop.add_reader(self._epoll.fileno(), self._poll)

    def watch(self, descriptor: int, gone: Callable[[], None]) -> None:
        """Call ``gone``, once, when the socket is reset."""
        self._watched[descriptor] = gone
        self._epoll.register(descriptor, 0)

    def forget(self, descriptor: int) -> None:
        """Watch the socket no longer."""
        if self._watched.pop(descriptor, None) is not None:
            self._epoll.unregister(descriptor)

    def _poll(self) -> None:
        for descriptor, _ in self._epoll.poll(0):
            gone = self._watched[descriptor]
            self.forget(descriptor)
            gone()


_hangups: WeakKeyDictionary[asyncio.AbstractEventLoop, Hangups] = WeakKeyDictionary()


def hangups(loop: asyncio.AbstractEventLoop) -> Hangups:
    """Return the loop's own `Hangups`."""
    if loop not in _hangups:
        _hangups[loop] = Hangups(loop)
    return _hangups[loop]
