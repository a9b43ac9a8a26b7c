"""A real uWSGI behind the gateway, which asks it by the uwsgi protocol and by SCGI."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from mod_progress.gateway.backends.scgi import ScgiBackend
from mod_progress.gateway.backends.uwsgi import UwsgiBackend
from tests.answers import error, progress
from tests.gateway.backend import Backend, Peer
from tests.gateway.backends import uwsgi_app
from tests.gateway.backends.cgi_fronts import Make, start_front
from tests.gateway.bodies import SIZE, send_body
from tests.gateway.fronts import Front
from tests.gateway.running import PATIENCE, Gateway, eventually
from tests.gateway.wire import Client

COMMAND = Path(sys.executable).with_name("uwsgi")
PROTOCOLS: dict[str, Make] = {"uwsgi": UwsgiBackend, "scgi": ScgiBackend}

SIZED = b"POST /x/digest?X-Progress-ID=i HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n"
CHUNKED = (
    b"POST /x/digest?X-Progress-ID=i HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
)

#: Seconds in which uWSGI has loaded the app, on a busy machine too.
START = 60.0

LARGE = b"".join(uwsgi_app.pieces())


@pytest.fixture(scope="module")
def uwsgi(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """Start a uWSGI; return its address for each protocol."""
    directory = tmp_path_factory.mktemp("uwsgi")
    sockets = {name: directory / name for name in PROTOCOLS}
    command = [str(COMMAND), "--master", "--die-on-term", "--need-app", "--processes", "2"]
    command += ["--socket", str(sockets["uwsgi"]), "--scgi-socket", str(sockets["scgi"])]
    command += ["--wsgi-file", uwsgi_app.__file__, "--disable-logging", "--virtualenv", sys.prefix]
    log = directory / "log"
    with log.open("wb") as output, subprocess.Popen(command, stderr=output) as process:
        try:
            eventually(lambda: b"spawned uWSGI worker 2" in log.read_bytes(), START)
            yield {name: f"unix:{path}" for name, path in sockets.items()}
        finally:
            process.terminate()


class At(Backend):
    """Where a server is that is not the test's own."""

    def __init__(self, address: str) -> None:
        self._address = address

    @property
    def address(self) -> str:
        return self._address


@pytest.fixture(scope="module", params=PROTOCOLS)
def gateway(request: pytest.FixtureRequest, uwsgi: dict[str, str]) -> Iterator[Gateway]:
    front = start_front(PROTOCOLS[request.param], At(uwsgi[request.param]))
    yield front.gateway
    front.gateway.stop()


def test_the_variables(gateway: Gateway) -> None:
    fields = {"X-Own": "1", "X_Own": "2", "Content-Type": "text/x", "Host": "example.com:81"}
    told = gateway.request("PUT", "/x/y%20z?a=b", b"abc", fields).json()
    expected = {
        "CONTENT_LENGTH": "3",
        "CONTENT_TYPE": "text/x",
        "HTTP_HOST": "example.com:81",
        "HTTP_X_OWN": "1",
        "PATH_INFO": "/x/y z",
        "QUERY_STRING": "a=b",
        "REMOTE_ADDR": "127.0.0.1",
        "REQUEST_METHOD": "PUT",
        "REQUEST_URI": "/x/y%20z?a=b",
        "SCRIPT_NAME": "",
        "SERVER_NAME": "example.com",
        "SERVER_PORT": str(gateway.port),
        "SERVER_PROTOCOL": "HTTP/1.1",
    }
    assert {name: told.get(name) for name in expected} == expected


@pytest.mark.parametrize("framing", ["sized", "chunked"])
def test_a_large_body(gateway: Gateway, framing: str) -> None:
    with Client(gateway.port) as client:
        client.send(SIZED % SIZE if framing == "sized" else CHUNKED)
        digest = send_body(client.socket.sendall, framing, SIZE)
        answer = client.answer()
    assert (answer.status, answer.body.decode()) == (201, digest)
    assert answer["X-Length"] == b"%d" % SIZE
    done = progress("done", received=SIZE, sent=64, request_size=SIZE)
    eventually(lambda: gateway.show("i") == done)


@pytest.mark.parametrize("name", ["sized", "unsized"])
def test_a_large_answer(gateway: Gateway, name: str) -> None:
    answer = gateway.request("POST", f"/{name}?X-Progress-ID=i")
    assert (answer.status, answer.body == LARGE) == (200, True)
    assert ("content-length" in answer.headers) == (name == "sized")
    eventually(lambda: gateway.show("i") == progress("done", sent=len(LARGE)))


def test_an_answer_without_a_body(gateway: Gateway) -> None:
    assert gateway.request("HEAD", "/sized").headers["content-length"] == str(len(LARGE))
    answer = gateway.request("POST", "/missing?X-Progress-ID=i")
    assert (answer.status, answer.body) == (404, b"no")
    eventually(lambda: gateway.show("i") == error(404))


# What a real server does not do by itself.

StartScript = Callable[[Callable[[Peer], None]], Front]


@pytest.fixture(params=PROTOCOLS)
def start(request: pytest.FixtureRequest) -> Iterator[StartScript]:
    fronts: list[Front] = []

    def begin(script: Callable[[Peer], None]) -> Front:
        fronts.append(start_front(PROTOCOLS[request.param], Backend(script)))
        return fronts[-1]

    yield begin
    for each in fronts:
        each.gateway.stop()
        each.backend.close()


@pytest.mark.parametrize("byte_by_byte", [False, True])
def test_an_answer_like_that_of_a_cgi_program(start: StartScript, byte_by_byte: bool) -> None:
    reply = b"Status: 202 Accepted\nX-A: b\n\nok"

    def script(peer: Peer) -> None:
        peer.take_through(b"abc")
        for at in range(len(reply)) if byte_by_byte else (0,):
            peer.send(reply[at : at + 1] if byte_by_byte else reply)
        peer.end()
        peer.read_on()

    front = start(script)
    with front.connect() as client:
        client.send(SIZED % 3 + b"abc")
        answer = client.answer()
    assert (answer.status, answer["X-A"], answer.body) == (202, b"b", b"ok")
    eventually(lambda: front.backend.peers[0].ending == "end")


@pytest.mark.parametrize("reply", [b"", b"HTTP/1.1 200 OK\r\n", b"?\n\n"])
def test_no_answer_is_502(start: StartScript, reply: bytes) -> None:
    def script(peer: Peer) -> None:
        peer.take_through(b"abc")
        peer.send(reply)
        peer.end()

    front = start(script)
    with front.connect() as client:
        client.send(SIZED % 3 + b"abc")
        assert client.answer().status == 502


def test_an_answer_that_is_too_short_is_cut(start: StartScript) -> None:
    def script(peer: Peer) -> None:
        peer.take_through(b"abc")
        peer.send(b"Content-Length: 5\n\nok")
        peer.end()
        peer.read_on()

    front = start(script)
    with front.connect() as client:
        client.send(SIZED % 3 + b"abc")
        assert client.rest().endswith(b"\r\n\r\nok")
    eventually(lambda: front.gateway.show("i")["state"] == "error")


def test_a_client_that_leaves(start: StartScript) -> None:
    begun = threading.Event()

    def script(peer: Peer) -> None:
        peer.take_through(b"abc")
        begun.set()
        peer.read_on()

    front = start(script)
    with front.connect() as client:
        client.send(SIZED % 10 + b"abc")
        assert begun.wait(PATIENCE)
        client.reset()
    front.await_reset()
    eventually(lambda: front.gateway.show("i") == error(0))


def test_a_head_that_the_protocol_cannot_carry_is_431() -> None:
    backend = Backend(lambda peer: peer.read_on())
    front = start_front(UwsgiBackend, backend, head_size=200_000)
    try:
        with front.connect() as client:
            client.send(b"GET /x HTTP/1.1\r\nHost: a\r\nA: %b\r\n\r\n" % (b"a" * 66_000))
            assert client.answer().status == 431
    finally:
        front.gateway.stop()
        backend.close()
