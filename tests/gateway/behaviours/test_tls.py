"""What is different in TLS; the rest of it is tested beside what is plain."""

from __future__ import annotations

import socket
import ssl
from contextlib import suppress

import pytest

from tests.gateway.backend import Peer
from tests.gateway.bodies import SIZE, send_body
from tests.gateway.fronts import Front
from tests.gateway.running import PATIENCE, eventually

pytestmark = pytest.mark.parametrize("shared_front", ["encrypted"], indirect=True)


def test_a_client_that_speaks_no_tls_is_closed(front: Front) -> None:
    with socket.create_connection(("127.0.0.1", front.gateway.port), PATIENCE) as client:
        client.sendall(b"GET /own HTTP/1.1\r\nHost: x\r\n\r\n")
        came = b""
        with suppress(ConnectionResetError):
            while piece := client.recv(65536):
                came += piece
        assert b"HTTP" not in came
    assert front.gateway.request("GET", "/own").body == b"own\n"


def test_a_tunnel_ends_with_its_backend(front: Front) -> None:
    """One direction cannot end alone: the client gets all that came before, and then the end."""

    def script(peer: Peer) -> None:
        peer.take_through(b"\r\n\r\n")
        peer.send(b"HTTP/1.1 101 x\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n")
        send_body(peer.connection.sendall, "sized", SIZE)
        peer.end()
        peer.read_on()

    front.backend.begin(script)
    with front.connect() as client:
        upgrade = b"Connection: Upgrade\r\nUpgrade: websocket\r\n\r\n"
        client.send(b"GET /x HTTP/1.1\r\nHost: a\r\n" + upgrade)
        assert client.answer().status == 101
        assert len(client.rest()) == SIZE
        assert client.ending == "end"
    eventually(lambda: front.backend.peers[0].ending)


def test_a_client_that_ends_its_side_gives_its_request_up(front: Front) -> None:
    front.backend.begin(Peer.read_on)
    with front.gateway.connect() as client:
        client.sendall(b"GET /x HTTP/1.1\r\nHost: a\r\n\r\n")
        eventually(lambda: front.backend.raw)
        assert isinstance(client, ssl.SSLSocket)
        assert client.unwrap().recv(1) == b""
    front.await_reset()
