"""Tunnels: what is no HTTP any more goes both ways, with each side's end. Spliced and copied."""

from __future__ import annotations

import threading

import pytest

from tests.gateway.backend import Peer
from tests.gateway.bodies import PIECE, SIZE, fill, send_body, until_gone
from tests.gateway.fronts import Front
from tests.gateway.running import PATIENCE, eventually

pytestmark = pytest.mark.parametrize("shared_front", ["spliced", "copied"], indirect=True)

UPGRADE = b"GET /x HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"
SWITCH = b"HTTP/1.1 101 Switching\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n"


def test_a_tunnel_keeps_the_bytes_that_came_early(front: Front) -> None:
    def script(peer: Peer) -> None:
        head = peer.take_through(b"\r\n\r\n")
        assert b"\r\nConnection: upgrade\r\nUpgrade: websocket\r\n" in head
        peer.send(SWITCH + b"early too")
        assert peer.take(5) == b"early"
        peer.send(b"!")

    front.backend.begin(script)
    with front.connect() as client:
        client.send(UPGRADE + b"early")
        answer = client.answer()
        assert (answer.status, answer["Upgrade"]) == (101, b"websocket")
        assert answer["Connection"] == b"upgrade"
        client.end()
        assert client.rest() == b"early too!"
        assert client.ending == "end"


@pytest.mark.parametrize("first", ["client", "backend"])
def test_a_tunnel_carries_each_end_through(front: Front, first: str) -> None:
    """The side that ended first still gets all that the other sends."""

    def script(peer: Peer) -> None:
        peer.take_through(b"\r\n\r\n")
        peer.connection.sendall(SWITCH)
        if first == "backend":
            send_body(peer.connection.sendall, "sized", SIZE)
            peer.end()
            peer.read_on()
        else:
            peer.read_on()
            send_body(peer.connection.sendall, "sized", SIZE)

    front.backend.begin(script)
    with front.connect() as client:
        client.send(UPGRADE)
        assert client.answer().status == 101
        if first == "backend":
            assert len(client.rest()) == SIZE
            send_body(client.socket.sendall, "sized", SIZE)
            client.end()
        else:
            send_body(client.socket.sendall, "sized", SIZE)
            client.end()
            assert len(client.rest()) == SIZE
            assert client.ending == "end"
        eventually(lambda: front.backend.peers[0].ending)
    assert front.backend.peers[0].ending == "end"
    assert front.backend.raw.endswith(PIECE[: SIZE % len(PIECE)])
    assert len(front.backend.raw) - front.backend.raw.index(b"\r\n\r\n") - 4 == SIZE


@pytest.mark.parametrize("first", ["client", "backend"])
@pytest.mark.parametrize("full", [False, True], ids=["idle", "full"])
def test_a_tunnel_carries_a_reset_through(front: Front, first: str, full: bool) -> None:
    def script(peer: Peer) -> None:
        peer.take_through(b"\r\n\r\n")
        peer.send(SWITCH)
        ready.wait(PATIENCE)
        if first == "backend":
            peer.reset_now()
        else:
            until_gone(peer)

    ready = threading.Event()
    front.backend.begin(script)
    with front.connect() as client:
        client.send(UPGRADE)
        assert client.answer().status == 101
        if full:
            fill(client, "sized")
        ready.set()
        if first == "client":
            client.reset()
            front.await_reset()
        else:
            client.rest()
            assert client.ending == "reset"


@pytest.mark.parametrize(
    "switch",
    [
        SWITCH.replace(b"websocket", b"h2c"),
        SWITCH.replace(b"Upgrade: websocket\r\n", b""),
        SWITCH.replace(b"websocket", b"websocket, h2c"),
    ],
)
def test_another_protocol_than_asked_for_is_502(front: Front, switch: bytes) -> None:
    def script(peer: Peer) -> None:
        peer.take_through(b"\r\n\r\n")
        peer.send(switch)
        peer.read_on()

    front.backend.begin(script)
    with front.connect() as client:
        client.send(UPGRADE)
        assert client.answer().status == 502


def test_a_backend_need_not_switch(front: Front) -> None:
    with front.connect() as client:
        client.send(UPGRADE)
        assert client.answer().body == b"/x"
        client.send(b"GET /next HTTP/1.1\r\nHost: a\r\n\r\n")
        assert client.answer().body == b"/next"
