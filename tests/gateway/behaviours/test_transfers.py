"""Large bodies, both ways: early answers, and peers that go. Spliced, copied, encrypted alike."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest

from tests.gateway.backend import Peer
from tests.gateway.bodies import ENDLESS, PIECE, SIZE, fill, pour, send_body, until_gone
from tests.gateway.fronts import Front
from tests.gateway.running import PATIENCE, Gateway, eventually
from tests.gateway.wire import Cut

pytestmark = pytest.mark.parametrize(
    "shared_front", ["spliced", "copied", "encrypted"], indirect=True
)
framings = pytest.mark.parametrize("framing", ["sized", "chunked"])


def request_head(framing: str, size: int) -> bytes:
    length = b"Content-Length: %d" % size if framing == "sized" else b"Transfer-Encoding: chunked"
    return b"POST /x HTTP/1.1\r\nHost: a\r\n%b\r\n\r\n" % length


def response_head(framing: str, size: int, status: int = 200) -> bytes:
    length = b"Content-Length: %d" % size if framing == "sized" else b"Transfer-Encoding: chunked"
    return b"HTTP/1.1 %d x\r\n%b\r\n\r\n" % (status, length)


@framings
def test_bodies_go_whole_both_ways_at_once(front: Front, framing: str) -> None:
    """The backend answers while the body still comes, each larger than all buffers."""

    def script(peer: Peer) -> None:
        peer.take_through(b"\r\n\r\n")
        peer.connection.sendall(response_head(framing, SIZE))
        reader = threading.Thread(target=lambda: received.append(read(peer)))
        reader.start()
        send_body(peer.connection.sendall, framing, SIZE, before_last=reader.join)
        peer.read_on()

    def read(peer: Peer) -> str:
        body = peer.take(SIZE) if framing == "sized" else peer.payload()
        return hashlib.sha256(body).hexdigest()

    received: list[str] = []
    sent: list[str] = []
    front.backend.begin(script)
    with front.connect() as client:

        def upload() -> None:
            client.send(request_head(framing, SIZE))
            sent.append(send_body(client.socket.sendall, framing, SIZE))

        uploading = threading.Thread(target=upload)
        uploading.start()
        body = client.answer().body
        uploading.join()
    assert received == sent == [hashlib.sha256(body).hexdigest()]


# 19: an early final answer


@framings
@pytest.mark.parametrize("then", ["reads on", "keeps silent", "closes"])
def test_an_early_answer_reaches_a_client_that_sends_on(
    front: Front, framing: str, then: str
) -> None:
    def script(peer: Peer) -> None:
        peer.take_through(b"\r\n\r\n")
        peer.take(1000)
        peer.send(b"HTTP/1.1 413 No\r\nContent-Length: 2\r\n\r\nno")
        if then == "reads on":
            peer.read_on()
        elif then == "keeps silent":
            done.wait(PATIENCE)

    done = threading.Event()
    front.backend.begin(script)
    for _ in range(5):
        with front.connect() as client:
            client.send(request_head(framing, ENDLESS))
            for _ in range(64):
                client.send(PIECE if framing == "sized" else b"10000\r\n%b\r\n" % PIECE)
            answer = client.answer()
            assert (answer.status, answer.body) == (413, b"no")
            assert answer["Connection"] == b"close"
            assert client.rest() == b""
            assert client.ending == "end"
    done.set()


@framings
def test_our_own_early_answer_reaches_a_client_that_sends_on(front: Front, framing: str) -> None:
    with front.connect() as client:
        client.send(request_head(framing, ENDLESS).replace(b"/x", b"/own"))
        for _ in range(64):
            client.send(PIECE if framing == "sized" else b"10000\r\n%b\r\n" % PIECE)
        assert client.answer().body == b"own\n"
        assert client.rest() == b""
        assert client.ending == "end"


# 29: peers that go


def reading(peer: Peer) -> None:
    peer.read_on()


def not_reading(peer: Peer) -> None:
    """Read so little that everything between is full, and then until the gateway gives up."""
    peer.take_through(b"\r\n\r\n")
    until_gone(peer)


def pouring_sized(peer: Peer) -> None:
    peer.take_through(b"\r\n\r\n")
    peer.send(response_head("sized", ENDLESS))
    pour(peer.connection.sendall, "sized")
    peer.ending = "reset"


def pouring_chunked(peer: Peer) -> None:
    peer.take_through(b"\r\n\r\n")
    peer.send(response_head("chunked", ENDLESS))
    pour(peer.connection.sendall, "chunked")
    peer.ending = "reset"


@framings
@pytest.mark.parametrize("script", [reading, not_reading])
def test_a_client_that_goes_in_its_upload_frees_the_backend(
    front: Front, framing: str, script: Callable[[Peer], None]
) -> None:
    front.backend.begin(script)
    with front.connect() as client:
        client.send(request_head(framing, ENDLESS))
        fill(client, framing)
        client.reset()
        front.await_reset()
        assert not front.backend.raw.endswith(b"0\r\n\r\n")


@framings
def test_a_client_that_goes_after_its_upload_frees_the_backend(front: Front, framing: str) -> None:
    front.backend.begin(reading)
    with front.connect() as client:
        client.send(request_head(framing, SIZE))
        send_body(client.socket.sendall, framing, SIZE)
        eventually(lambda: len(front.backend.raw) > SIZE)
        client.reset()
        front.await_reset()


def test_a_client_that_goes_while_it_waits_frees_the_backend(front: Front) -> None:
    front.backend.begin(reading)
    with front.connect() as client:
        client.send(b"GET /x HTTP/1.1\r\nHost: a\r\n\r\n" * 5000)  # more than is read ahead
        eventually(lambda: front.backend.raw)
        client.reset()
        front.await_reset()


@pytest.mark.parametrize("script", [pouring_sized, pouring_chunked])
@pytest.mark.parametrize("pipelined", [False, True])
@pytest.mark.parametrize("had", [1, 3_000_000])
def test_a_client_that_goes_in_its_download_frees_the_backend(
    front: Front, script: Callable[[Peer], None], pipelined: bool, had: int
) -> None:
    front.backend.begin(script)
    with front.connect() as client:
        client.send(b"GET /x HTTP/1.1\r\nHost: a\r\n\r\n" * (5000 if pipelined else 1))
        while had > 0:
            had -= len(client.socket.recv(65536))
        client.reset()
        front.await_reset()


@framings
@pytest.mark.parametrize("silent", [False, True], ids=["client sends", "client is silent"])
def test_a_backend_that_goes_in_an_upload_is_502(front: Front, framing: str, silent: bool) -> None:
    def script(peer: Peer) -> None:
        peer.take_through(b"\r\n\r\n")
        peer.take(100_000)
        peer.reset()

    front.backend.begin(script)
    with front.connect() as client:
        client.send(request_head(framing, ENDLESS))
        for _ in range(2 if silent else 64):
            client.send(PIECE if framing == "sized" else b"10000\r\n%b\r\n" % PIECE)
        assert client.answer().status == 502
        assert client.rest() == b""


@framings
@pytest.mark.parametrize("ending", ["reset", "end"])
@pytest.mark.parametrize("reads", [True, False], ids=["client reads", "client does not"])
def test_a_backend_that_goes_in_a_download_cuts_the_client(
    front: Front, framing: str, ending: str, reads: bool
) -> None:
    def script(peer: Peer) -> None:
        peer.take_through(b"\r\n\r\n")
        peer.send(response_head(framing, ENDLESS))
        chunk = PIECE if framing == "sized" else b"10000\r\n%b\r\n" % PIECE
        peer.connection.settimeout(0.3)
        with suppress(TimeoutError):
            for _ in range(64 if reads else 1000):
                peer.connection.sendall(chunk)
        gone.set()
        peer.reset_now() if ending == "reset" else peer.end()

    gone = threading.Event()
    front.backend.begin(script)
    with front.connect() as client:
        client.send(b"GET /x HTTP/1.1\r\nHost: a\r\n\r\n")
        if not reads:
            gone.wait(PATIENCE)
        with pytest.raises(Cut):
            client.answer()


# 30: peers that do not read cost no memory of ours


def _memory(gateway: Gateway) -> int:
    """Bytes of the worker's resident memory."""
    for line in Path(f"/proc/{gateway.pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) * 1024
    raise AssertionError


@pytest.mark.parametrize("script", [pouring_sized, pouring_chunked])
def test_clients_that_do_not_read_cost_no_memory(
    front: Front, script: Callable[[Peer], None]
) -> None:
    front.backend.begin(script)
    before = _memory(front.gateway)
    clients = [front.connect() for _ in range(4)]
    for client in clients:
        client.send(b"GET /x HTTP/1.1\r\nHost: a\r\n\r\n")
        assert client.socket.recv(1)
    _settle(lambda: _memory(front.gateway))
    assert _memory(front.gateway) - before < 4 * 2_000_000
    for client in clients:
        client.reset()
    eventually(lambda: all(peer.ending for peer in front.backend.peers))


@framings
def test_backends_that_do_not_read_cost_no_memory(front: Front, framing: str) -> None:
    front.backend.begin(not_reading)
    before = _memory(front.gateway)
    clients = [front.connect() for _ in range(4)]
    for client in clients:
        client.send(request_head(framing, ENDLESS))
        fill(client, framing)
    assert _memory(front.gateway) - before < 4 * 2_000_000
    for client in clients:
        client.reset()
    eventually(lambda: all(peer.ending for peer in front.backend.peers))


def _settle(measure: Callable[[], int]) -> None:
    """Wait until a figure is the same for a while."""
    seen: list[int] = []

    def settled() -> bool:
        seen.append(measure())
        return len(seen) > 40 and len(set(seen[-40:])) == 1

    eventually(settled)
