"""Done is what the client has, however it leaves."""

from __future__ import annotations

import socket
import ssl
import struct
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest

from mod_progress.gateway.actions.answers import Respond
from mod_progress.gateway.actions.flow import ActionList, If
from mod_progress.gateway.actions.tracking import Show, Track
from mod_progress.gateway.exchange import Exchange
from mod_progress.options import Options
from tests.gateway.running import Gateway, eventually

ASKING = Options(methods=frozenset({"GET"}))


def is_show(exchange: Exchange) -> bool:
    return exchange.request.path == "/progress"


def site(gateway: Callable[..., Gateway], body: bytes, tls: Any = None) -> Gateway:
    action = If(is_show, Show(), ActionList((Track(), Respond(200, body))))
    return gateway(action, options=ASKING, tls=tls)


def has_ended(gateway: Gateway, number: int) -> bool:
    return bool(gateway.show(str(number))["state"] != "running")


def read_all(client: socket.socket, size: int) -> None:
    came = b""
    while len(came.partition(b"\r\n\r\n")[2]) < size:
        came += client.recv(65536)


@pytest.mark.parametrize(
    ("encrypted", "reset"),
    [(False, False), (False, True), (True, False)],
    ids=["closed", "reset", "tls without close_notify"],
)
def test_a_client_that_leaves_with_all_of_it_has_it(
    gateway: Callable[..., Gateway], tls: ssl.SSLContext, encrypted: bool, reset: bool
) -> None:
    size = 200_000
    running = site(gateway, b"x" * size, tls if encrypted else None)
    for number in range(20):
        client = running.connect()
        if reset:
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        client.sendall(b"GET /?X-Progress-ID=%d HTTP/1.1\r\nHost: x\r\n\r\n" % number)
        read_all(client, size)
        client.close()
        eventually(partial(has_ended, running, number))
        assert running.show(str(number))["state"] == "done"


def test_a_client_that_leaves_at_once_leaves_nothing_running(
    gateway: Callable[..., Gateway],
) -> None:
    running = site(gateway, b"x" * 4_000_000)
    for number in range(50):
        with running.connect() as client:
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            client.sendall(b"GET /?X-Progress-ID=%d HTTP/1.1\r\nHost: x\r\n\r\n" % number)
    for number in range(50):
        eventually(partial(has_ended, running, number))
