"""Bodies that move in the kernel, by splice(2) and sendfile(2); Python only counts them."""

from __future__ import annotations

import asyncio
import errno
import os
from collections.abc import Callable
from io import FileIO

from mod_progress.gateway.streams.body import Body, Count, FileBody
from mod_progress.gateway.streams.disk import write
from mod_progress.gateway.streams.errors import Cut, Slow
from mod_progress.gateway.streams.pipes import NoBypass, pipes
from mod_progress.gateway.streams.readiness import HAVE_EPOLL, readiness
from mod_progress.gateway.streams.stream import Bypass, Stream

HAVE_SPLICE = HAVE_EPOLL and hasattr(os, "splice")
HAVE_SENDFILE = HAVE_EPOLL and hasattr(os, "sendfile")

#: Bytes that one system call moves at most. Measured: uploads are a fifth faster than by pieces of
#: 1 MiB, or of 256 KiB, or with a pipe that holds no more than a piece.
_PIECE = 512 * 1024

#: Bytes that are moved before other clients have their turn.
_TURN = 4 * 1024 * 1024

#: The flags of a splice.
FLAGS = os.SPLICE_F_MOVE | os.SPLICE_F_NONBLOCK if HAVE_SPLICE else 0
_MORE = os.SPLICE_F_MORE if HAVE_SPLICE else 0


class _Side:
    """A socket at one end of a bypass, used beside the transport that owns it."""

    __slots__ = ("descriptor", "stream")

    def __init__(self, stream: Stream) -> None:
        self.stream = stream
        #: The transport's own: to be used only while the stream is not `Stream.gone`.
        self.descriptor = -1

    def open(self, bypass: Bypass) -> None:
        """Let ``bypass`` move the bytes, beside the transport."""
        self.check()
        self.descriptor = self.stream.descriptor
        self.bypass(bypass)

    def check(self) -> None:
        """Raise `Cut` where the transport has closed: its descriptor may be another's by now."""
        if self.stream.gone:
            raise Cut(self.stream, "the connection is gone")

    def close(self) -> None:
        """Leave the socket to its transport."""
        if self.descriptor >= 0:
            self.bypass(None)

    def bypass(self, bypass: Bypass | None) -> None:
        """Let the stream know who moves its bytes."""
        raise NotImplementedError

    def watch(self, ready: Callable[[], None]) -> None:
        """Call ``ready`` whenever bytes can be moved."""
        raise NotImplementedError

    def forget(self) -> None:
        """Call ``ready`` no longer."""
        raise NotImplementedError

    def postpone(self) -> None:
        """Let the peer's time begin anew."""
        raise NotImplementedError


class _Source(_Side):
    __slots__ = ()

    def bypass(self, bypass: Bypass | None) -> None:
        self.stream.bypass_reading(bypass)

    def watch(self, ready: Callable[[], None]) -> None:
        readiness(self.stream.loop).when_readable(self.descriptor, ready)
        self.stream.expect_bytes()

    def forget(self) -> None:
        if not self.stream.lost:  # else the stream has done so, and the descriptor is closed
            readiness(self.stream.loop).when_readable(self.descriptor, None)
        self.stream.expect_no_bytes()

    def postpone(self) -> None:
        self.stream.expect_no_bytes()
        self.stream.expect_bytes()


class _Sink(_Side):
    __slots__ = ()

    def bypass(self, bypass: Bypass | None) -> None:
        self.stream.bypass_writing(bypass)

    def watch(self, ready: Callable[[], None]) -> None:
        readiness(self.stream.loop).when_writable(self.descriptor, ready)
        self.stream.expect_room()

    def forget(self) -> None:
        if not self.stream.lost:
            readiness(self.stream.loop).when_writable(self.descriptor, None)
        self.stream.expect_no_room()

    def postpone(self) -> None:
        self.stream.expect_room()


class BodyBypass:
    """Moves a body. A system call is tried first; where it would block, the bypass waits."""

    __slots__ = ("_body", "_done", "_sides", "_waiting")

    def __init__(self, body: Body, *sides: _Side) -> None:
        self._body = body
        self._sides = sides
        self._waiting: _Side | None = None
        self._done: asyncio.Future[None] = sides[0].stream.loop.create_future()

    async def run(self) -> None:
        """Move what is left of the body.

        Raises `Cut`, or `Slow`, with the side that is at fault, OSError of a file, and `NoBypass`,
        after which the rest can be copied.
        """
        try:
            await self._prepare()
            for side in self._sides:
                side.open(self)
            self._pump()
            await self._done
        finally:
            self._wait_for(None)
            for side in self._sides:
                side.close()
            self._leave()

    async def _prepare(self) -> None:
        """Hand on the bytes that Python has read already."""
        raise NotImplementedError

    def _leave(self) -> None:
        """Leave the sockets as a transport expects them."""
        raise NotImplementedError

    def _move(self) -> bool:
        """Move bytes for one turn of the loop; False where there are more."""
        raise NotImplementedError

    def _next(self) -> _Side | None:
        """Return the side that has to be ready now; None for a file, which is always ready."""
        raise NotImplementedError

    def _pump(self) -> None:
        if self._done.done():
            return
        try:
            for each in self._sides:
                each.check()
            if self._move():
                self._finish(None)
            else:
                self._wait_for(self._next())
        except BlockingIOError:
            self._wait_for(self._next())
        except Cut as cut:
            self._finish(cut)
        except NoBypass as error:
            self._finish(error)
        except OSError as error:
            side = self._next()
            self._finish(error if side is None else Cut(side.stream, str(error)))
        except Exception as error:
            self._finish(error)

    def _wait_for(self, side: _Side | None) -> None:
        """Go on when ``side`` is ready."""
        if side is self._waiting:
            if side is not None:
                side.postpone()
            return
        if self._waiting is not None:
            self._waiting.forget()
        if side is not None:
            side.watch(self._pump)
        self._waiting = side

    def overdue(self, stream: Stream) -> None:
        """Give up: the peer did not send, or read, in time."""
        self._finish(Slow(stream, "the peer was too slow"))

    def lost(self, stream: Stream) -> None:
        """Give up: the connection is gone."""
        self._finish(Cut(stream, "the connection is gone"))

    def reset(self, stream: Stream) -> None:
        """Give up if the source was reset before the whole body was in its socket."""
        if stream.unread < self._body.remaining:
            self._finish(Cut(stream, "the connection was reset in the middle of a body"))

    def _finish(self, error: Exception | None) -> None:
        if self._done.done():
            return
        if error is None:
            self._done.set_result(None)
        else:
            self._done.set_exception(error)


class _FromSocket(BodyBypass):
    """Moves a body out of its socket through a pipe."""

    __slots__ = ("_inside", "_pipe", "_source")

    _turn = _TURN

    def __init__(self, body: Body, *sinks: _Side) -> None:
        self._source = _Source(body.stream)
        self._pipe: tuple[int, int] | None = None
        self._inside = 0
        super().__init__(body, self._source, *sinks)

    async def _prepare(self) -> None:
        self._source.stream.pause_reading()
        while self._source.stream.buffer.size and self._body.remaining:
            self._put(self._body.take())

    def _leave(self) -> None:
        self._source.stream.resume_reading()

    def _put(self, data: bytes) -> None:
        """Hand on what came through the transport."""
        raise NotImplementedError

    def _drain(self, pipe: int) -> int:
        """Move bytes out of the pipe, and return how many."""
        raise NotImplementedError

    def _move(self) -> bool:
        """Fill the pipe, empty it, and so on."""
        body, moved = self._body, 0
        while body.remaining or self._inside:
            if moved >= self._turn:
                return False
            if not self._inside:
                self._fill()
            assert self._pipe is not None
            size = self._drain(self._pipe[0])
            self._inside -= size
            moved += size
        return True

    def _fill(self) -> None:
        body = self._body
        if self._pipe is None:
            self._pipe = pipes.borrow()
        most = min(body.remaining, _PIECE)
        size = os.splice(self._source.descriptor, self._pipe[1], most, flags=FLAGS)
        if not size:
            raise Cut(body.stream, "the connection ended in the middle of a body")
        self._inside = size
        body.remaining -= size
        if body.count is not None:
            body.count(size)

    def _wait_for(self, side: _Side | None) -> None:
        """Go on when ``side`` is ready. An empty pipe is given back, and any pipe at the end."""
        super()._wait_for(side)
        if self._pipe is not None and (side is None or not self._inside):
            pipes.give_back(self._pipe, empty=not self._inside)
            self._pipe = None


class Splice(_FromSocket):
    """From socket to socket."""

    __slots__ = ("_sent", "_sink")

    def __init__(self, body: Body, sink: Stream, sent: Count | None) -> None:
        self._sink = _Sink(sink)
        self._sent = sent
        super().__init__(body, self._sink)

    async def _prepare(self) -> None:
        await super()._prepare()
        await self._sink.stream.flush()

    def _put(self, data: bytes) -> None:
        self._sink.stream.write(data)
        if self._sent is not None:
            self._sent(len(data))

    def _next(self) -> _Side:
        return self._sink if self._inside else self._source

    def _drain(self, pipe: int) -> int:
        # More follows a whole piece at once, so the last bytes of the piece may share a segment.
        flags = FLAGS | _MORE if self._inside == _PIECE and self._body.remaining else FLAGS
        size = os.splice(pipe, self._sink.descriptor, self._inside, flags=flags)
        self._sink.stream.hand_over(size)
        if self._sent is not None:
            self._sent(size)
        return size


class SpliceToFile(_FromSocket):
    """From socket to file."""

    __slots__ = ("_file",)

    # A shorter turn: writing into a file copies, and may wait for the disk.
    _turn = 256 * 1024

    def __init__(self, body: Body, file: FileIO) -> None:
        self._file = file
        super().__init__(body)

    def _put(self, data: bytes) -> None:
        write(self._file, data)

    def _next(self) -> _Side | None:
        return None if self._inside else self._source

    def _drain(self, pipe: int) -> int:
        """Empty the pipe. A file is always ready."""
        moved = 0
        try:
            while moved < self._inside:
                moved += os.splice(pipe, self._file.fileno(), self._inside - moved, flags=FLAGS)
        except OSError as error:
            if error.errno != errno.EINVAL:
                raise
            # The file system cannot splice (splice(2)): copy what the pipe holds.
            write(self._file, os.read(pipe, self._inside - moved))
        return self._inside


class SendFile(BodyBypass):
    """From file to socket, in full segments."""

    __slots__ = ("_sent", "_sink")

    _body: FileBody

    def __init__(self, body: FileBody, sink: Stream, sent: Count | None) -> None:
        self._sink = _Sink(sink)
        self._sent = sent
        super().__init__(body, self._sink)

    async def _prepare(self) -> None:
        await self._sink.stream.flush()
        self._sink.stream.cork(True)

    def _leave(self) -> None:
        self._sink.stream.cork(False)

    def _next(self) -> _Side:
        return self._sink

    def _move(self) -> bool:
        body = self._body
        most = min(body.remaining, _PIECE)
        try:
            size = os.sendfile(self._sink.descriptor, body.file.fileno(), body.position, most)
        except (BlockingIOError, ConnectionError, TimeoutError):
            raise
        except OSError:
            size = 0
        if not size:
            # The file ends early, its disk fails, or its file system cannot do it (EINVAL of
            # sendfile(2)). To copy shows which.
            raise NoBypass
        body.advance(size)
        self._sink.stream.hand_over(size)
        if self._sent is not None:
            self._sent(size)
        return body.finished
