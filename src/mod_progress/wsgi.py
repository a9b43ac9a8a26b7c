"""WSGI middleware: ``application = ProgressMiddleware(application)``."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future
from contextlib import suppress
from functools import lru_cache, partial
from http import HTTPStatus
from socket import socket
from typing import Any
from wsgiref.util import FileWrapper

from mod_progress.delivery import Address, Delivery, follow_transfer
from mod_progress.framing import BODILESS, parse_number, parse_size
from mod_progress.identifier import FIELD
from mod_progress.middleware import TRACKED, BaseMiddleware
from mod_progress.show.answer import Answer, Stream
from mod_progress.show.question import Question
from mod_progress.show.ticker import Ticker, call_here
from mod_progress.tracker import logger
from mod_progress.transfer import Transfer

__all__ = ["ProgressMiddleware"]

Environ = dict[str, Any]
Write = Callable[[bytes], object]
StartResponse = Callable[..., Write]
Application = Callable[[Environ, StartResponse], Iterable[bytes]]

#: The greatest status that an app may answer with.
_MOST_STATUS = 999

#: The least that is read from a file at once: applications ask for as little as 4 KiB, and a
#: tracked response cannot be left to the server's sendfile.
_FILE_BLOCK = 1 << 18


class ProgressMiddleware(BaseMiddleware[Application]):
    """Tracks the transfers of a WSGI application, and answers how far they are.

    `middleware.BaseMiddleware` documents the parameters. Paths are the application's own, without
    the prefix that it is mounted at (``SCRIPT_NAME``).
    """

    def _check_server(self) -> None:
        uwsgi = sys.modules.get("uwsgi")
        if uwsgi is not None and not uwsgi.has_threads:
            logger.warning("uWSGI lacks enable-threads: other workers learn late of transfers here")

    def _make_ticker(self) -> Ticker | None:
        return Ticker(self._tracker) if _threads_are_cheap() else None

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        """Serve one request."""
        if self._asks(environ["REQUEST_METHOD"], _path(environ)):
            return self._answer(environ, start_response)
        transfer = self._track(environ)
        if transfer is None:
            return self.app(environ, start_response)
        return _Exchange(environ, start_response, transfer).run(self.app)

    def _track(self, environ: Environ) -> Transfer | None:
        method = environ["REQUEST_METHOD"]
        if not self._considers(method):
            return None
        if not (self._selects(_path(environ), environ) and self._is_new(environ)):
            return None
        size = parse_size(environ.get("CONTENT_LENGTH"))
        if size is None and not _announces_body(environ):
            size = 0
        return self._tracker.track(method, _query(environ), _field(environ, FIELD), size)

    def _answer(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        method = environ["REQUEST_METHOD"]
        question = Question(method, _query(environ), partial(_field, environ))
        answer = self._responder.answer(question)
        if isinstance(answer, Future):
            answer = answer.result()
        return _respond(answer, method, start_response)


class _Exchange:
    """One tracked request and its response, which is what the server iterates over."""

    __slots__ = (
        "_chunks",
        "_counts",
        "_delivery",
        "_environ",
        "_finished",
        "_head",
        "_start_response",
        "_transfer",
    )

    def __init__(self, environ: Environ, start_response: StartResponse, transfer: Transfer) -> None:
        self._environ = environ
        self._start_response = start_response
        self._transfer = transfer
        self._delivery = follow_transfer(transfer, *_addresses(environ))
        self._chunks: Iterable[bytes] = ()
        self._counts = environ["REQUEST_METHOD"] != "HEAD"
        #: Status and size of the response, from start_response until the first bytes go out.
        self._head: tuple[int, int | None] | None = None
        self._finished = False

    def run(self, app: Application) -> Iterable[bytes]:
        environ = self._environ
        environ[TRACKED] = self._transfer
        environ["wsgi.input"] = _Input(environ["wsgi.input"], self._transfer, self._delivery)
        if "wsgi.file_wrapper" in environ:
            environ["wsgi.file_wrapper"] = _FileBlocks
        try:
            self._chunks = app(environ, self.start_response)
        except BaseException as error:
            self._fail(error)
            raise
        return self

    def start_response(self, status: str, headers: list[tuple[str, str]], *exc_info: Any) -> Write:
        write = self._start_response(status, headers, *exc_info)
        code = parse_number(status[:3], _MOST_STATUS) or 500
        length = next((value for name, value in headers if name.lower() == "content-length"), None)
        self._counts = self._environ["REQUEST_METHOD"] != "HEAD" and code not in BODILESS
        size = parse_size(length) if self._counts else 0
        self._head = code, size
        self._delivery.begins(size)

        def counted(data: bytes) -> object:
            self._hand_over(len(data))
            return write(data)

        return counted

    def __iter__(self) -> Iterator[bytes]:
        try:
            for chunk in self._chunks:
                self._hand_over(len(chunk))
                yield chunk
        except BaseException as error:
            self._fail(error)
            raise
        self._end()

    def close(self) -> None:
        """The server is done, or gave up before it had the last chunk."""
        if self._head is not None and not self._counts:
            self._end()  # some servers ask for no chunk where there is no body
        self._fail(None)
        chunks, self._chunks = self._chunks, ()
        close = getattr(chunks, "close", None)
        if close is not None:
            close()

    def _hand_over(self, size: int) -> None:
        if size and self._head is not None:
            self._transfer.response_started(*self._head)
            self._head = None
        if self._counts:
            self._transfer.written += size

    def _end(self) -> None:
        """The server has the last chunk. It answers 500 where there was no start_response."""
        if self._finished:
            return
        self._finished = True
        if not self._transfer.status:
            self._transfer.response_started(*(self._head or (500, 0)))
        self._delivery.handed_over()

    def _fail(self, error: BaseException | None) -> None:
        """The response ends early. A server answers 500 while nothing of it has gone out."""
        if self._finished:
            return
        if isinstance(error, Exception) and not self._transfer.status:
            self._head = None
            self._end()
        else:
            self._finished = True
            self._delivery.cut()


class _Input:
    """The body of a tracked request, counted in every way to read it."""

    __slots__ = ("_delivery", "_input", "_transfer")

    def __init__(self, body: Any, transfer: Transfer, delivery: Delivery) -> None:
        self._input = body
        self._transfer = transfer
        self._delivery = delivery

    def read(self, *size: int | None) -> bytes:
        return self._count(self._input.read, size, whole=True)

    def readline(self, *size: int | None) -> bytes:
        return self._count(self._input.readline, size)

    def readlines(self, *hint: int | None) -> list[bytes]:
        lines = []
        wanted = (hint[0] if hint else None) or sys.maxsize
        while wanted > 0 and (line := self.readline()):
            lines.append(line)
            wanted -= len(line)
        return lines

    def readinto(self, buffer: bytearray | memoryview) -> int:
        data = self.read(len(buffer))
        buffer[: len(data)] = data
        return len(data)

    def __iter__(self) -> Iterator[bytes]:
        return iter(self.readline, b"")

    def __getattr__(self, name: str) -> Any:
        return getattr(self._input, name)

    def _count(
        self, read: Callable[..., bytes], size: tuple[int | None, ...], whole: bool = False
    ) -> bytes:
        try:
            data = read(*size)
        except Exception:
            self._delivery.cut()  # the client left, or broke its own framing
            raise
        wanted = size[0] if size else None
        self._transfer.received += len(data)
        everything = whole and (wanted is None or wanted < 0)
        if everything or (not data and wanted != 0):
            self._end()
        return data

    def _end(self) -> None:
        """There is no more to read: the body is here, or its sender is gone."""
        transfer = self._transfer
        if transfer.request_size is not None and transfer.received < transfer.request_size:
            self._delivery.cut()
        transfer.request_ended()


class _FileBlocks(FileWrapper):
    """A file as the chunks of a tracked response."""

    def __init__(self, filelike: Any, blksize: int = 0) -> None:
        super().__init__(filelike, max(blksize, _FILE_BLOCK))


def _addresses(environ: Environ) -> tuple[Address, Address]:
    """Return the connection's own address and the client's, as the server tells them.

    uWSGI tells no port of the client, but the connection's descriptor.
    """
    uwsgi = sys.modules.get("uwsgi")
    if uwsgi is not None and "REMOTE_PORT" not in environ:
        with suppress(OSError), socket(fileno=os.dup(uwsgi.connection_fd())) as connection:
            return connection.getsockname(), connection.getpeername()
    return (
        (environ.get("SERVER_NAME", ""), environ.get("SERVER_PORT")),
        (environ.get("REMOTE_ADDR", ""), environ.get("REMOTE_PORT")),
    )


def _path(environ: Environ) -> str:
    """Return the path inside the application.

    gunicorn takes ``SCRIPT_NAME`` off as a string: of ``/progress`` at ``/pro`` it leaves
    ``gress``. But ``/progress`` is not inside ``/pro``.
    """
    path: str = environ.get("PATH_INFO", "")
    return path if path[:1] in ("/", "") else environ.get("SCRIPT_NAME", "") + path


def _query(environ: Environ) -> bytes:
    query: str = environ.get("QUERY_STRING", "")
    return query.encode("latin-1", "replace")


@lru_cache
def _variable(name: bytes) -> str:
    """Return the environ's name for a request header (PEP 3333)."""
    return "HTTP_" + name.decode().upper().replace("-", "_")


def _field(environ: Environ, name: bytes) -> bytes | None:
    """Return the value of a request header, by its name in lower case."""
    value: str | None = environ.get(_variable(name))
    return None if value is None else value.encode("latin-1", "replace")


def _announces_body(environ: Environ) -> bool:
    """Whether a body may follow (RFC 9112, section 6.3; HTTP/2 needs no header for one)."""
    return (
        bool(environ.get("CONTENT_LENGTH"))
        or "HTTP_TRANSFER_ENCODING" in environ
        or not environ.get("SERVER_PROTOCOL", "").startswith("HTTP/1")
    )


def _threads_are_cheap() -> bool:
    """Whether gevent has made threads cheap, so that an answer that waits may hold one."""
    monkey = sys.modules.get("gevent.monkey")
    return monkey is not None and bool(monkey.is_module_patched("threading"))


def _respond(answer: Answer, method: str, start_response: StartResponse) -> Iterable[bytes]:
    status = HTTPStatus(answer.status)
    headers = list(answer.fields)
    body = answer.body
    if isinstance(body, bytes) and answer.status not in BODILESS:
        headers.append(("Content-Length", str(len(body))))
    start_response(f"{status.value} {status.phrase}", headers)
    if method == "HEAD":
        return []
    return [body] if isinstance(body, bytes) else _stream(body)


def _stream(stream: Stream) -> Iterator[bytes]:
    woken = threading.Event()
    stream.open(call_here, woken.set)
    try:
        while not stream.ended:
            woken.clear()
            part = stream.take()
            if part:
                yield part
            elif not stream.ended:
                woken.wait()
    finally:
        stream.close()
