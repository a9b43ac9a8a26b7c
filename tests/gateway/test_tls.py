"""TLS, beyond what runs over both kinds of listeners elsewhere."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Callable
from contextlib import suppress

from running import PATIENCE, Gateway

from mod_progress.gateway.actions import Respond


def test_a_client_that_speaks_no_tls_is_closed(
    gateway: Callable[..., Gateway], tls: ssl.SSLContext
) -> None:
    running = gateway(Respond(200, b"hello"), tls=tls)
    with socket.create_connection(("127.0.0.1", running.port), PATIENCE) as client:
        client.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        came = b""
        with suppress(ConnectionResetError):
            while piece := client.recv(65536):
                came += piece
        assert b"HTTP" not in came
    assert running.request("GET", "/").body == b"hello"
