"""The field Server-Timing of the gateway, in front of a real backend."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator

import pytest

from mod_progress.gateway.actions.flow import ActionList, If
from mod_progress.gateway.actions.tracking import SetOptions, Show, Track
from mod_progress.gateway.backends.actions import BufferRequestBody, Proxy
from mod_progress.gateway.backends.http import HttpBackend
from mod_progress.options import Options
from tests.gateway.backend import Backend, Peer
from tests.gateway.running import Gateway, eventually

OWN = b"Server-Timing: db;dur=53"
ANSWER = b"HTTP/1.1 200 OK\r\n" + OWN + b"\r\nContent-Length: 0\r\n\r\n"

#: So many bytes go from socket to socket in the kernel.
LARGE = 1 << 20

#: Milliseconds by which a duration may be rounded.
ROUNDING = 0.1


@pytest.fixture
def backend() -> Iterator[Backend]:
    server = Backend()
    yield server
    server.close()


def start(gateway: Callable[..., Gateway], backend: Backend, held_back: bool = False) -> Gateway:
    proxied = ActionList(
        (Track(), BufferRequestBody(held_back), Proxy(HttpBackend(backend.address)))
    )
    action = If(lambda exchange: exchange.request.path == "/progress", Show(), proxied)
    return gateway(action, options=Options(server_timing=True))


def timings(head: bytes) -> list[tuple[str, float]]:
    """Return the names and the milliseconds of all fields."""
    values = re.findall(rb"(?m)^Server-Timing: (.*)\r$", head)
    metrics = b", ".join(values).decode().split(", ") if values else []
    return [(name, float(value)) for name, value in (each.split(";dur=") for each in metrics)]


def milliseconds(since: float) -> float:
    return (time.perf_counter() - since) * 1000


@pytest.mark.parametrize("held_back", [False, True], ids=["streamed", "held back"])
@pytest.mark.parametrize("size", [10, LARGE])
@pytest.mark.parametrize("chunked", [False, True], ids=["sized", "chunked"])
def test_the_body_and_the_app_are_measured(
    gateway: Callable[..., Gateway], backend: Backend, size: int, chunked: bool, held_back: bool
) -> None:
    whole = b"%x\r\n%b\r\n0\r\n\r\n" % (size, bytes(size)) if chunked else bytes(size)
    framing = b"Transfer-Encoding: chunked" if chunked else b"Content-Length: %d" % size
    waits: list[float] = []

    def answer(peer: Peer) -> None:
        peer.request()
        asked = time.perf_counter()
        site.show("a")  # the backend takes its time
        waits.append(milliseconds(asked))
        peer.send(ANSWER)
        peer.read_on()

    backend.script = answer
    site = start(gateway, backend, held_back)
    with site.connect() as client:
        begun = time.perf_counter()
        client.sendall(b"POST /?X-Progress-ID=a HTTP/1.1\r\nHost: x\r\n%b\r\n\r\n" % framing)
        eventually(lambda: site.show("a")["state"] == "running")
        known = time.perf_counter()
        client.sendall(whole[:-1])
        eventually(lambda: site.show("a")["received"] >= size - 1)
        waited = milliseconds(known)
        client.sendall(whole[-1:])
        head = client.recv(65536)
        elapsed = milliseconds(begun)
    (db, body, app) = timings(head)
    assert (db, body[0], app[0]) == (("db", 53), "body", "app")
    assert body[1] + ROUNDING >= waited
    assert app[1] + ROUNDING >= waits[0]
    assert body[1] + app[1] <= elapsed + ROUNDING


def test_an_answer_before_the_end_of_the_body_has_one_duration(
    gateway: Callable[..., Gateway], backend: Backend
) -> None:
    def answer(peer: Peer) -> None:
        peer.take_through(b"\r\n\r\n")
        peer.send(ANSWER)
        peer.read_on()

    backend.script = answer
    site = start(gateway, backend)
    head = b"POST /?X-Progress-ID=a HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n12345"
    with site.connect() as client:
        client.sendall(head)
        names = [name for name, _ in timings(client.recv(65536))]
    assert names == ["db", "app"]


@pytest.mark.parametrize(
    ("head", "names"),
    [
        # A kept connection to the backend, and an answer in one piece.
        (b"POST /?X-Progress-ID=a HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\nok", True),
        (b"POST /?X-Progress-ID=a HTTP/1.1\r\nHost: x\r\n\r\n", True),
        (b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\nok", False),
        (b"GET /?X-Progress-ID=a HTTP/1.1\r\nHost: x\r\n\r\n", False),
    ],
)
def test_only_what_is_tracked_is_measured(
    gateway: Callable[..., Gateway], backend: Backend, head: bytes, names: bool
) -> None:
    site = start(gateway, backend)
    with site.connect() as client:
        for _ in range(2):
            client.sendall(head)
            answer = client.recv(65536)
            assert [name for name, _ in timings(answer)] == (["body", "app"] if names else [])


def test_an_answer_of_the_gateway_is_measured_too(
    gateway: Callable[..., Gateway], backend: Backend
) -> None:
    site = start(gateway, backend)
    backend.stop_listening()
    answer = site.request("POST", "/?X-Progress-ID=a", b"ok")
    assert answer.status == 502
    # The body may come after the answer.
    assert re.fullmatch(r"(body;dur=[\d.]+, )?app;dur=[\d.]+", answer.headers["server-timing"])


def test_an_action_switches_it_on_or_off(gateway: Callable[..., Gateway], backend: Backend) -> None:
    actions = (SetOptions(server_timing=False), Track(), Proxy(HttpBackend(backend.address)))
    site = gateway(ActionList(actions), options=Options(server_timing=True))
    assert "server-timing" not in site.request("POST", "/?X-Progress-ID=a", b"ok").headers
