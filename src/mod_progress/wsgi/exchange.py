"""One tracked request of a WSGI application, and its response."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from functools import partial
from socket import socket
from typing import Any
from wsgiref.util import FileWrapper

from mod_progress.delivery.addresses import Address
from mod_progress.delivery.watch import follow_transfer
from mod_progress.framing import BODILESS, parse_size, parse_status
from mod_progress.middleware import TRACKED
from mod_progress.tracker import logger
from mod_progress.transfer import Transfer
from mod_progress.wsgi.input import Input, cancelled

Environ = dict[str, Any]
Write = Callable[[bytes], object]
StartResponse = Callable[..., Write]
Application = Callable[[Environ, StartResponse], Iterable[bytes]]

#: The least that is read from a file at once: applications ask for as little as 4 KiB, and a
#: tracked response cannot be left to the server's sendfile.
_FILE_BLOCK = 1 << 18

#: What servers raise where the client has left, beside OSError: waitress.
_GONE = ("ClientDisconnected",)

#: The versions of HTTP in which a connection carries one request at a time.
_EXCLUSIVE = ("HTTP/1.0", "HTTP/1.1")


class Exchange:
    """Counts what the app reads and answers. The server iterates over it for the response."""

    __slots__ = (
        "_chunks",
        "_delivery",
        "_environ",
        "_finished",
        "_head",
        "_left",
        "_opens",
        "_start_response",
        "_transfer",
    )

    def __init__(self, environ: Environ, start_response: StartResponse, transfer: Transfer) -> None:
        self._environ = environ
        self._start_response = start_response
        self._transfer = transfer
        self._delivery = follow_transfer(transfer, *_addresses(environ))
        self._delivery.exclusive = environ.get("SERVER_PROTOCOL") in _EXCLUSIVE
        # Not the exchange itself: the table would keep one that a server has forgotten to close.
        transfer.served_by(self._delivery)
        self._chunks: Iterable[bytes] = ()
        #: Status and size of the response, from start_response until the first bytes go out.
        self._head: tuple[int, int | None] | None = None
        #: Whether the server has the first bytes of the response and has not sent them yet.
        self._opens = False
        #: Whether the client has left.
        self._left = False
        self._finished = False

    def run(self, app: Application) -> Iterable[bytes]:
        """Call the app; return its response."""
        environ = self._environ
        environ[TRACKED] = self._transfer
        if "wsgi.input" in environ:
            environ["wsgi.input"] = self._make_input(environ["wsgi.input"])
        if "wsgi.file_wrapper" in environ:
            environ["wsgi.file_wrapper"] = FileBlocks
        try:
            self._chunks = app(environ, self.start_response)
        except BaseException as error:
            self._fail(error)
            raise
        return self

    def _make_input(self, body: Any) -> Input:
        """Return what the app reads instead of the server's ``wsgi.input``."""
        return Input(body, self._transfer, self._delivery)

    def start_response(self, status: str, headers: Any, *error: Any, **named_error: Any) -> Write:
        """Begin the response, or replace what has not gone out yet (PEP 3333)."""
        write = self._start_response(status, headers, *error, **named_error)
        code = parse_status(status)
        bodiless = self._environ["REQUEST_METHOD"] == "HEAD" or code in BODILESS
        size = 0 if bodiless else _content_length(headers)
        self._head = code, size
        self._delivery.begins(size)
        return partial(self._write, write)

    def _write(self, write: Write, data: bytes) -> object:
        if self._delivery.cancelled:
            raise cancelled()
        if data and self._head is not None:
            self._open(self._head)
        self._transfer.written = min(self._transfer.written + len(data), self._delivery.limit)
        try:
            result = write(data)
        except Exception as error:
            self._left = isinstance(error, OSError) or type(error).__name__ in _GONE
            if self._opens and not self._delivery.has_carried():
                self._transfer.status = 0
            raise
        self._opens = False
        return result

    def __iter__(self) -> Iterator[bytes]:
        """Yield the chunks of the response."""
        transfer, delivery = self._transfer, self._delivery
        try:
            for chunk in self._chunks:
                if delivery.cancelled:
                    raise cancelled()
                if chunk and self._head is not None:
                    self._open(self._head)
                written = transfer.written + len(chunk)
                transfer.written = written if written < delivery.limit else delivery.limit
                yield chunk
                self._opens = False
                if written >= delivery.limit and self._head is None:
                    self._end()  # whatever the app still does
                    if isinstance(self._chunks, FileBlocks):
                        break  # the rest of the file is behind the end of the response
        except BaseException as error:
            self._fail(error)
            raise
        self._end()

    def close(self) -> None:
        """The server is done, or gave up before it had the last chunk."""
        if self._head is not None and self._head[1] == 0:
            self._end()  # some servers ask for no chunk where there is no body
        self._fail(None)
        chunks, self._chunks = self._chunks, ()
        close = getattr(chunks, "close", None)
        if close is not None:
            close()

    def __del__(self) -> None:
        """Servers have to call `close`. Where one does not, the response ends here."""
        self._fail(None)

    def _open(self, head: tuple[int, int | None]) -> None:
        """The first bytes are about to go to the server, which sends the head before them."""
        self._transfer.response_started(*head)
        self._head = None
        self._opens = True

    def _end(self) -> None:
        """The server has the last chunk. It answers 500 where there was no start_response."""
        if self._left:
            self._cut()
        elif not self._finished:
            self._finished = True
            if not self._transfer.status:
                self._transfer.response_started(*(self._head or (500, 0)))
            self._delivery.handed_over()

    def _fail(self, error: BaseException | None) -> None:
        """The response ends early. A server answers 500 while nothing of it has gone out."""
        if isinstance(error, Exception) and not self._transfer.status:
            self._head = None
            self._end()
        else:
            self._cut()

    def _cut(self) -> None:
        """The server asks for no more, since it has enough or since the client has left."""
        if self._finished:
            return
        carried = self._delivery.has_carried()
        if carried and self._delivery.is_whole() and not self._left:
            self._end()  # it may stop at the Content-Length (PEP 3333): how much arrived is known
            return
        self._finished = True
        if self._opens and carried is False:
            self._transfer.status = 0  # its first bytes could not be sent
        self._delivery.cut()


class FileBlocks(FileWrapper):
    """A file as the chunks of a tracked response (``wsgi.file_wrapper``, PEP 3333)."""

    def __init__(self, filelike: Any, blksize: int | None = None) -> None:
        super().__init__(filelike, max(blksize or 0, _FILE_BLOCK))


def _content_length(headers: Any) -> int | None:
    """Return the size of the body as the headers give it."""
    try:
        for name, value in headers:
            if name.lower() == "content-length":
                return parse_size(value)
    except Exception:
        logger.debug("the headers of a response cannot be read", exc_info=True)
    return None


def _addresses(environ: Environ) -> tuple[Address, Address]:
    """Return the connection's own address and the client's, as the server reports them.

    uWSGI reports the client without a port, but it gives the connection's descriptor.
    """
    uwsgi = sys.modules.get("uwsgi")
    if uwsgi is not None and "REMOTE_PORT" not in environ:
        with suppress(Exception):
            connection = socket(fileno=uwsgi.connection_fd())
            try:
                return connection.getsockname(), connection.getpeername()
            finally:
                connection.detach()  # the descriptor is uWSGI's
    return (
        (environ.get("SERVER_NAME", ""), environ.get("SERVER_PORT")),
        (environ.get("REMOTE_ADDR", ""), environ.get("REMOTE_PORT")),
    )
