from __future__ import annotations

import contextlib
import os
import random
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from email.message import Message
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from mod_progress.gateway.actions.flow import ActionList, If
from mod_progress.gateway.actions.tracking import Show, Track
from mod_progress.gateway.backends.actions import BufferRequestBody, Proxy
from mod_progress.gateway.backends.http import HttpBackend
from mod_progress.gateway.backends.spool import MEMORY
from mod_progress.gateway.limits import Limits
from tests.gateway.running import Gateway, eventually

SMALL = b"hello"
LARGE = random.Random(3).randbytes(3 * MEMORY + 5)


class Backend(ThreadingHTTPServer):
    """Keeps what reaches it; answers 200, or 413 at ``/refuse``, before it reads the body."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.connections = 0
        self.heads: list[Message] = []
        self.bodies: list[bytes] = []

    def verify_request(self, request: object, client_address: object) -> bool:
        self.connections += 1
        return True


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Backend

    def do_POST(self) -> None:
        self.server.heads.append(self.headers)
        refused = self.path.startswith("/refuse")
        if not refused:
            self.server.bodies.append(self.rfile.read(int(self.headers["Content-Length"])))
        self.close_connection = refused
        self.send_response(413 if refused else 200)
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"ok")
        if refused:
            self.rfile.read()  # until the gateway cuts what is refused

    def handle_one_request(self) -> None:
        try:
            super().handle_one_request()
        except ConnectionError:
            self.close_connection = True

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        pass


@pytest.fixture
def backend() -> Iterator[Backend]:
    server = Backend()
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


def proxy(backend: Backend) -> Proxy:
    return Proxy(HttpBackend(f"127.0.0.1:{backend.server_address[1]}"))


def spooling(backend: Backend) -> If:
    proxied = ActionList((Track(), BufferRequestBody(True), proxy(backend)))
    return If(lambda exchange: exchange.request.path == "/progress", Show(), proxied)


@pytest.fixture
def server(
    gateway: Callable[..., Gateway], backend: Backend, either: ssl.SSLContext | None
) -> Gateway:
    return gateway(spooling(backend), tls=either)


@pytest.mark.parametrize("content", [b"", SMALL, LARGE], ids=["empty", "small", "large"])
@pytest.mark.parametrize("chunked", [False, True], ids=["sized", "chunked"])
def test_a_body_goes_on_whole_with_its_size(
    server: Gateway, backend: Backend, content: bytes, chunked: bool
) -> None:
    body = iter([content[:70_000], content[70_000:]]) if chunked else content
    assert server.request("POST", "/?X-Progress-ID=u", body).body == b"ok"
    assert backend.bodies == [content]
    assert backend.heads[0]["Content-Length"] == str(len(content))
    assert backend.heads[0]["Transfer-Encoding"] is None
    eventually(lambda: server.show("u")["state"] == "done")
    shown = server.show("u")
    assert shown["received"] == shown["request_size"] == len(content)


HEAD = b"POST %b?X-Progress-ID=u HTTP/1.1\r\nHost: a\r\n%b\r\n"


@pytest.mark.parametrize("size", [100, 2 * MEMORY])
def test_the_backend_hears_of_it_when_it_is_whole(
    server: Gateway, backend: Backend, size: int
) -> None:
    with server.connect() as client:
        client.sendall(HEAD % (b"/", b"Content-Length: %d\r\n" % size) + LARGE[: size - 1])
        eventually(lambda: server.show("u")["received"] == size - 1)
        assert backend.connections == 0
        client.sendall(LARGE[size - 1 : size])
        assert client.recv(12) == b"HTTP/1.1 200"
    assert backend.bodies == [LARGE[:size]]


@pytest.mark.parametrize("framing", [b"Content-Length: 5\r\n", b"Transfer-Encoding: chunked\r\n"])
def test_a_client_that_waits_is_asked_for_the_body(
    server: Gateway, backend: Backend, framing: bytes
) -> None:
    with server.connect() as client:
        client.sendall(HEAD % (b"/", framing + b"Expect: 100-continue\r\nConnection: close\r\n"))
        assert client.recv(100) == b"HTTP/1.1 100 Continue\r\n\r\n"
        client.sendall(SMALL if b"5" in framing else b"5\r\nhello\r\n0\r\n\r\n")
        answer = b"".join(iter(lambda: client.recv(1000), b""))
    assert answer.startswith(b"HTTP/1.1 200")
    assert answer.count(b"HTTP/1.1") == 1, "the backend was asked to ask, too"
    assert backend.bodies == [SMALL]


@pytest.mark.parametrize("size", [100, 2 * MEMORY])
def test_a_body_that_is_cut_never_reaches_the_backend(
    server: Gateway, backend: Backend, size: int
) -> None:
    before = server.descriptors
    with server.connect() as client:
        client.sendall(HEAD % (b"/", b"Content-Length: %d\r\n" % size) + LARGE[:99])
        eventually(lambda: server.show("u")["received"] == 99)
    eventually(lambda: server.show("u") == {"state": "error", "status": 0})
    assert backend.connections == 0
    eventually(lambda: server.descriptors == before)


def test_a_body_that_is_too_large_never_reaches_the_backend(
    gateway: Callable[..., Gateway], backend: Backend
) -> None:
    server = gateway(spooling(backend), limits=Limits(body_size=2 * MEMORY, drain_time=1.0))
    answer = server.request("POST", "/", iter([LARGE]))
    assert (answer.status, backend.connections) == (413, 0)


def test_a_backend_may_refuse_before_it_has_the_body(server: Gateway, backend: Backend) -> None:
    before = server.descriptors
    assert server.request("POST", "/refuse", LARGE).status == 413
    eventually(lambda: server.descriptors == before)


def test_a_connection_goes_on_after_a_spooled_body(server: Gateway, backend: Backend) -> None:
    ask = HEAD % (b"/", b"Content-Length: %d\r\n" % len(LARGE)) + LARGE
    last = HEAD % (b"/", b"Content-Length: 5\r\nConnection: close\r\n") + SMALL
    assert server.exchange(ask + last).count(b"HTTP/1.1 200") == 2
    assert backend.bodies == [LARGE, SMALL]


def test_where_it_is_off_the_backend_gets_the_body_as_it_comes(
    gateway: Callable[..., Gateway], backend: Backend
) -> None:
    switches = BufferRequestBody(True), BufferRequestBody(False)
    server = gateway(ActionList((*switches, proxy(backend))))
    with server.connect() as client:
        client.sendall(HEAD % (b"/", b"Content-Length: 5\r\n") + b"hell")
        eventually(lambda: backend.connections == 1)
        client.sendall(b"o")
        assert client.recv(12) == b"HTTP/1.1 200"


@pytest.fixture
def slow() -> Iterator[Slow]:
    with Slow() as backend:
        yield backend


class Slow:
    """A backend that reads the rest of a request when it is told to."""

    def __init__(self) -> None:
        self.resume = threading.Event()
        self.listening = socket.create_server(("127.0.0.1", 0))
        self.thread = threading.Thread(target=self._serve)

    def __enter__(self) -> Slow:
        self.thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.resume.set()
        self.thread.join()
        self.listening.close()

    def _serve(self) -> None:
        connection, _ = self.listening.accept()
        with connection, contextlib.suppress(ConnectionError):
            connection.settimeout(20)
            connection.recv(1000)
            self.resume.wait()
            while connection.recv(1 << 20):
                pass


def test_a_disk_that_fails_while_a_body_goes_on_is_500(
    gateway: Callable[..., Gateway], slow: Slow, either: ssl.SSLContext | None
) -> None:
    """The file loses its end; the backend is not left waiting, and neither is the client."""
    address = f"127.0.0.1:{slow.listening.getsockname()[1]}"
    action = ActionList((BufferRequestBody(True), Proxy(HttpBackend(address))))
    server = gateway(action, tls=either)
    size = 32 * MEMORY
    with server.connect() as client:
        client.sendall(HEAD % (b"/", b"Content-Length: %d\r\n" % size) + bytes(size))
        eventually(lambda: spool_of(server, size))
        os.truncate(spool_of(server, size) or "", 0)
        slow.resume.set()
        assert client.recv(12) == b"HTTP/1.1 500"


def spool_of(server: Gateway, size: int) -> Path | None:
    """Return the whole file that holds a body, by the worker's descriptor."""
    for entry in Path(f"/proc/{server.pid}/fd").iterdir():
        with contextlib.suppress(FileNotFoundError):
            if str(entry.readlink()).endswith("(deleted)") and entry.stat().st_size == size:
                return entry
    return None
