"""A client that sends the very bytes of a test, as they are, and reads answers strictly."""

from __future__ import annotations

import select
import socket
import ssl
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Any, NamedTuple, TypeVar

from tests.gateway.backend import reset
from tests.gateway.running import PATIENCE

#: How the bytes of a request reach the gateway.
FEEDS = ("whole", "byte by byte", "with trailing data")

#: What follows a request where it comes with trailing data: it must be a request of its own, or
#: nothing at all where the request is refused.
TRAILING = b"GET /trailing HTTP/1.1\r\nHost: a\r\n\r\n"


class Answer(NamedTuple):
    """One response, interim or final, as it came."""

    status: int
    lines: list[bytes]
    body: bytes
    #: Whether the body came in the chunked coding.
    chunked: bool

    def __getitem__(self, name: str) -> bytes | None:  # type: ignore[override]
        """Return a field's value; None where there is none. A repeated one fails."""
        key = name.lower().encode() + b":"
        values = [line[len(key) :].strip() for line in self.lines if line.lower().startswith(key)]
        assert len(values) < 2, values
        return values[0] if values else None


class Cut(Exception):
    """The response is not whole: its connection ended too early."""


T = TypeVar("T")


class Encrypted:
    """A socket in TLS that one thread may read while another writes; what is cut shows as a reset.

    An `ssl.SSLSocket` bears but one thread at a time.
    """

    def __init__(self, plain: socket.socket) -> None:
        self._timeout = plain.gettimeout()
        trusting = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        trusting.check_hostname = False
        trusting.verify_mode = ssl.CERT_NONE
        self._socket = trusting.wrap_socket(plain, suppress_ragged_eofs=False)
        self._socket.setblocking(False)
        self._turn = threading.Lock()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._socket, name)

    def settimeout(self, seconds: float) -> None:
        self._timeout = seconds

    def sendall(self, data: bytes) -> None:
        left = memoryview(data)
        while left:
            left = left[self.send(left) :]

    def send(self, data: bytes | memoryview) -> int:
        return self._when_ready(lambda: self._socket.send(data))

    def recv(self, size: int) -> bytes:
        return self._when_ready(lambda: self._socket.recv(size))

    def _when_ready(self, move: Callable[[], T]) -> T:
        while True:
            poll = select.poll()
            try:
                with self._turn:
                    return move()
            except ssl.SSLWantReadError:
                poll.register(self._socket, select.POLLIN)
            except ssl.SSLWantWriteError:
                poll.register(self._socket, select.POLLOUT)
            except ssl.SSLError as error:
                raise ConnectionResetError from error
            if not poll.poll(None if self._timeout is None else self._timeout * 1000):
                raise TimeoutError


class Client:
    """A connection to the gateway."""

    socket: Any

    def __init__(self, port: int, receive_buffer: int = 0, encrypted: bool = False) -> None:
        self.socket = socket.socket()
        self.socket.settimeout(PATIENCE)
        if receive_buffer:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        self.socket.connect(("127.0.0.1", port))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if encrypted:
            self.socket = Encrypted(self.socket)
        self.buffer = bytearray()
        #: Set as soon as the head of an answer was read.
        self.started = threading.Event()
        #: How the gateway ended the connection: "end", "reset", or "" while it is open.
        self.ending = ""

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *_: object) -> None:
        self.socket.close()

    def send(self, data: bytes, feed: str = "whole") -> None:
        """Send bytes; the gateway may refuse before it has them all."""
        with suppress(ConnectionError):
            if feed == "byte by byte":
                for at in range(len(data)):
                    self.socket.send(data[at : at + 1])
            else:
                self.socket.sendall(data + (TRAILING if feed == "with trailing data" else b""))

    def end(self) -> None:
        """Send no more."""
        self.socket.shutdown(socket.SHUT_WR)

    def reset(self) -> None:
        """Leave with a reset."""
        reset(self.socket)

    def answer(self, method: str = "GET") -> Answer:
        """Read one response, strictly; raises `Cut` where it is not whole."""
        head = self._through(b"\r\n\r\n")
        first, *lines = head.removesuffix(b"\r\n\r\n").split(b"\r\n")
        assert first.startswith(b"HTTP/1.1 "), first
        answer = Answer(int(first[9:12]), lines, b"", False)
        self.started.set()
        if answer.status < 200 or answer.status in (204, 304) or method == "HEAD":
            return answer
        if answer["Transfer-Encoding"] is not None:
            assert answer["Transfer-Encoding"] == b"chunked"
            assert answer["Content-Length"] is None
            return answer._replace(body=self._chunked(), chunked=True)
        length = answer["Content-Length"]
        if length is None:
            assert answer["Connection"] == b"close"
            body = self.rest()
            if self.ending == "reset":
                raise Cut
            return answer._replace(body=body)
        return answer._replace(body=self._take(int(length)))

    def rest(self) -> bytes:
        """Read all that comes until the gateway ends the connection."""
        while self._receive():
            pass
        return self._take(len(self.buffer))

    def _chunked(self) -> bytes:
        body = bytearray()
        while size := int(self._through(b"\r\n"), 16):
            body += self._take(size)
            assert self._take(2) == b"\r\n"
        assert self._take(2) == b"\r\n", "a trailer"
        return bytes(body)

    def _through(self, end: bytes) -> bytes:
        while end not in self.buffer:
            if not self._receive():
                raise Cut(self.buffer)
        return self._take(self.buffer.index(end) + len(end))

    def _take(self, size: int) -> bytes:
        while len(self.buffer) < size:
            if not self._receive():
                raise Cut(self.buffer)
        taken = bytes(self.buffer[:size])
        del self.buffer[:size]
        return taken

    def _receive(self) -> bool:
        try:
            data = self.socket.recv(65536)
        except ConnectionResetError:
            self.ending = "reset"
            return False
        self.ending = "" if data else "end"
        self.buffer += data
        return bool(data)
