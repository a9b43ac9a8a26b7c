"""What happens at each limit of a backend."""

from __future__ import annotations

import socket
import threading
from contextlib import ExitStack, suppress

import pytest

from mod_progress.gateway.backends.actions import Proxy
from mod_progress.gateway.backends.http import HttpBackend
from mod_progress.gateway.limits import Limits
from mod_progress.gateway.server.site import Site
from tests.gateway.backend import Peer
from tests.gateway.fronts import CHUNKED, GET, OWN, SHORT, SIZED, Limited
from tests.gateway.running import PATIENCE, Gateway, eventually
from tests.gateway.wire import Client


def test_a_backend_has_its_time_to_be_connected() -> None:
    full = socket.socket()
    full.bind(("127.0.0.1", 0))
    full.listen(0)
    address = full.getsockname()
    with ExitStack() as held:
        held.callback(full.close)
        for _ in range(3):  # what waits to be accepted fills the queue: the next gets no answer
            filler = held.enter_context(socket.socket())
            filler.setblocking(False)
            filler.connect_ex(address)
        site = Site(
            action=Proxy(HttpBackend(f"{address[0]}:{address[1]}")),
            limits=Limits(connect_time=SHORT, drain_time=0.1),
        )
        gateway = Gateway(site)
        held.callback(gateway.stop)
        with Client(gateway.port) as client:
            client.send(GET)
            assert client.answer().status == 504


def test_a_backend_that_is_not_there_is_502(limited: Limited) -> None:
    front = limited()
    front.backend.stop_listening()
    with front.connect() as client:
        client.send(GET)
        assert client.answer().status == 502
        client.send(OWN)
        assert client.answer().status == 200


@pytest.mark.parametrize("framing", [b"Content-Length: 100000000", b"Transfer-Encoding: chunked"])
def test_a_backend_that_takes_nothing_is_504(limited: Limited, framing: bytes) -> None:
    def script(peer: Peer) -> None:
        peer.take_through(b"\r\n\r\n")
        done.wait(PATIENCE)

    done = threading.Event()
    front = limited(script, upstream_send_time=SHORT, linger_size=2**40)
    with front.connect() as client:

        def upload() -> None:
            client.send(CHUNKED.replace(b"Transfer-Encoding: chunked", framing))
            with suppress(OSError):
                for _ in range(1000):
                    client.socket.sendall(b"10000\r\n%b\r\n" % (b"a" * 65536))

        sending = threading.Thread(target=upload)
        sending.start()
        assert client.answer().status == 504
        client.socket.shutdown(socket.SHUT_RDWR)
        sending.join()
    done.set()


@pytest.mark.parametrize("request_", [GET, SIZED % 3 + b"abc", SIZED % 300_000 + b"a" * 300_000])
@pytest.mark.parametrize("before", [b"", b"HTTP/1.1 2", b"HTTP/1.1 103 x\r\n\r\n"])
@pytest.mark.parametrize("kept", [False, True], ids=["new", "kept"])
def test_a_silent_backend_is_504(
    limited: Limited, request_: bytes, before: bytes, kept: bool
) -> None:
    def script(peer: Peer) -> None:
        if kept:
            peer.request()
            peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
        peer.request()
        peer.send(before)
        peer.read_on()

    front = limited(script, upstream_read_time=SHORT)
    with front.connect() as client:
        if kept:
            client.send(GET)
            assert client.answer().status == 200
        client.send(request_)
        answer = client.answer()
        if answer.status == 103:
            answer = client.answer()
        assert answer.status == 504
        assert answer["Connection"] is None
    front.await_reset()
    assert len(front.backend.peers) == 1


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\na",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n",
        b"HTTP/1.1 200 OK\r\n\r\na",
    ],
)
def test_a_backend_that_stops_is_cut_and_so_is_the_client(limited: Limited, answer: bytes) -> None:
    def script(peer: Peer) -> None:
        peer.request()
        peer.send(answer)
        peer.read_on()

    front = limited(script, upstream_read_time=SHORT)
    with front.connect() as client:
        client.send(GET)
        assert not client.rest().endswith(b"0\r\n\r\n")
    front.await_reset()


def test_an_idle_backend_connection_is_closed(limited: Limited) -> None:
    front = limited(upstream_idle_time=SHORT)
    with front.connect() as client:
        client.send(GET)
        assert client.answer().status == 200
        eventually(lambda: front.backend.peers[0].ending == "end")
        client.send(GET)
        assert client.answer().status == 200


def test_no_more_backend_connections_are_kept_than_the_limit(limited: Limited) -> None:
    front = limited(upstream_idle=0)
    with front.connect() as client:
        for _ in range(2):
            client.send(GET)
            assert client.answer().status == 200
    eventually(lambda: [peer.ending for peer in front.backend.peers] == ["end", "end"])
