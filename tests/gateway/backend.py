"""A backend of a test's own: it looks at the very bytes that reach it, and answers by a script."""

from __future__ import annotations

import fcntl
import socket
import struct
import sys
import termios
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import NamedTuple

from tests.gateway.running import PATIENCE, eventually


class Ended(Exception):
    """The gateway sent no more: "end" for a clean end, "reset" for a reset."""


class Request(NamedTuple):
    """What reached the backend: the head, the body in its framing, and without."""

    head: bytes
    body: bytes
    payload: bytes

    @property
    def lines(self) -> list[bytes]:
        """The lines of the head, sorted but for the first: what is told of the client left out."""
        first, *fields = self.head.removesuffix(b"\r\n\r\n").split(b"\r\n")
        return [first, *sorted(line for line in fields if not line.startswith(_TOLD))]


_ONCE = (b"host", b"content-length", b"transfer-encoding", b"connection", b"upgrade")
_TOLD = (b"X-Forwarded-", b"X-Real-IP", b"Forwarded", b"Via")


class Peer:
    """One connection of the gateway to the backend."""

    def __init__(self, connection: socket.socket) -> None:
        self.connection = connection
        connection.settimeout(PATIENCE)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        #: All that ever came.
        self.raw = bytearray()
        #: How the gateway ended the connection: "end", "reset", or "" while it is open.
        self.ending = ""
        self._taken = 0

    def take(self, size: int) -> bytes:
        """Return the next ``size`` bytes; raises `Ended`."""
        while len(self.raw) < self._taken + size:
            self._receive()
        self._taken += size
        return bytes(self.raw[self._taken - size : self._taken])

    def take_through(self, end: bytes) -> bytes:
        """Return the next bytes up to ``end``, with it; raises `Ended`."""
        while (found := self.raw.find(end, self._taken)) < 0:
            self._receive()
        return self.take(found + len(end) - self._taken)

    def _receive(self) -> None:
        try:
            data = self.connection.recv(65536)
        except ConnectionResetError:
            self.ending = "reset"
            raise Ended from None
        if not data:
            self.ending = "end"
            raise Ended
        self.raw += data

    def request(self) -> Request:
        """Read one request, as strictly as HTTP/1.1 is written; raises `Ended`."""
        head = self.take_through(b"\r\n\r\n")
        named: dict[bytes, bytes] = {}
        for line in head.split(b"\r\n")[1:-2]:
            name, _, value = line.partition(b": ")
            assert name.lower() not in named or name.lower() not in _ONCE, head
            named[name.lower()] = value
        start = self._taken
        if b"transfer-encoding" in named:
            assert named[b"transfer-encoding"] == b"chunked"
            assert b"content-length" not in named
            payload = self.payload()
        else:
            payload = self.take(int(named.get(b"content-length", b"0")))
        return Request(head, bytes(self.raw[start : self._taken]), payload)

    def payload(self) -> bytes:
        """Read a body in chunks, strictly."""
        payload = bytearray()
        while size := int(self.take_through(b"\r\n"), 16):
            payload += self.take(size)
            assert self.take(2) == b"\r\n"
        assert self.take(2) == b"\r\n", "a trailer"
        return bytes(payload)

    def read_on(self) -> None:
        """Read until the gateway ends the connection."""
        with suppress(Ended):
            while True:
                self._receive()

    def send(self, data: bytes) -> None:
        """Send bytes, if the gateway still takes them."""
        with suppress(OSError):
            self.connection.sendall(data)

    def end(self) -> None:
        """Send no more."""
        with suppress(OSError):
            self.connection.shutdown(socket.SHUT_WR)

    def reset(self) -> None:
        """Leave with a reset, once the gateway's system has what was sent."""
        eventually(lambda: not _unacknowledged(self.connection))
        self.reset_now()

    def reset_now(self) -> None:
        """Leave with a reset; what was sent may be lost."""
        reset(self.connection)


Script = Callable[[Peer], None]


def answer_each(peer: Peer) -> None:
    """Answer every request with its target."""
    while True:
        target = peer.request().head.split(b" ")[1]
        peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(target), target))


def replying(*replies: bytes) -> Script:
    """Return a script that answers one request with each, then ends."""

    def script(peer: Peer) -> None:
        for reply in replies:
            peer.request()
            peer.send(reply)
        peer.end()
        peer.read_on()

    return script


class Backend:
    """Listens on a free port, and runs the script for each connection."""

    def __init__(self, script: Script = answer_each) -> None:
        self.script = script
        self.requests: list[Request] = []
        self.peers: list[Peer] = []
        self._listening = socket.create_server(("127.0.0.1", 0))
        self._threads = [threading.Thread(target=self._accept)]
        self._threads[0].start()
        self.failures: list[BaseException] = []

    @property
    def port(self) -> int:
        return int(self._listening.getsockname()[1])

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    @property
    def raw(self) -> bytes:
        """All that ever came, connection after connection."""
        return b"".join(bytes(peer.raw) for peer in self.peers)

    def begin(self, script: Script = answer_each) -> None:
        """Forget what came until now; answer new connections by another script."""
        self.script = script
        for peer in self.peers:
            with suppress(OSError):
                peer.connection.shutdown(socket.SHUT_RDWR)
        self.peers = []
        self.requests = []

    def stop_listening(self) -> None:
        """Refuse new connections."""
        with suppress(OSError):
            self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()

    def close(self) -> None:
        """Stop listening, cut what is open; raises what went wrong in a script."""
        self.stop_listening()
        self.begin()
        for thread in self._threads:
            thread.join(PATIENCE)
        if self.failures:
            raise self.failures[0]

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                connection, _ = self._listening.accept()
                thread = threading.Thread(target=self._serve, args=(Peer(connection),))
                self._threads.append(thread)
                thread.start()

    def _serve(self, peer: Peer) -> None:
        self.peers.append(peer)
        requests, read = self.requests, peer.request

        def record() -> Request:
            requests.append(read())
            return requests[-1]

        peer.request = record  # type: ignore[method-assign]
        try:
            self.script(peer)
        except (Ended, OSError):
            pass
        except BaseException as error:  # a test fails by it when the backend is closed
            self.failures.append(error)
        finally:
            peer.connection.close()


def _unacknowledged(connection: socket.socket) -> int:
    return int.from_bytes(fcntl.ioctl(connection, termios.TIOCOUTQ, bytes(4)), sys.byteorder)


def reset(connection: socket.socket) -> None:
    """Close a socket so that its peer sees a reset."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()
