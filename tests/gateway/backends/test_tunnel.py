"""How long a tunnel may be silent; what goes through it is in `behaviours.test_tunnels`."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest

from mod_progress.gateway.backends.actions import Proxy
from mod_progress.gateway.backends.http import HttpBackend
from mod_progress.gateway.limits import Limits
from tests.gateway.backend import Backend, Peer
from tests.gateway.running import Gateway, eventually
from tests.gateway.wire import Client

UPGRADE = b"GET /x HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"
SWITCH = b"HTTP/1.1 101 Switching\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n"

#: The timers of /proc/net/tcp: 2 is that of keep-alive.
KEEP_ALIVE = "02"

Start = Callable[..., Gateway]


def tunnel(gateway: Start, backend: Backend, idle_time: float) -> tuple[Gateway, Client]:
    limits = Limits(tunnel_idle_time=idle_time, drain_time=0.1)
    running = gateway(Proxy(HttpBackend(backend.address)), limits=limits)
    client = Client(running.port)
    client.send(UPGRADE)
    assert client.answer().status == 101
    return running, client


def switch(peer: Peer) -> None:
    peer.take_through(b"\r\n\r\n")
    peer.send(SWITCH)
    peer.read_on()


@pytest.fixture
def silent() -> Backend:
    return Backend(switch)


def test_a_silent_tunnel_is_cut(gateway: Start, silent: Backend) -> None:
    _, client = tunnel(gateway, silent, 0.25)
    with client:
        assert client.rest() == b""
    eventually(lambda: silent.peers[0].ending)
    silent.close()


def test_a_side_may_be_silent_while_the_other_talks(gateway: Start) -> None:
    """The client is silent for several times the limit; the backend is not."""
    idle_time, times = 0.25, 4

    def talk(peer: Peer) -> None:
        peer.take_through(b"\r\n\r\n")
        peer.send(SWITCH)
        until = time.monotonic() + times * idle_time
        while time.monotonic() < until:
            peer.connection.sendall(b"x")
            peer.connection.settimeout(idle_time / 10)
            with suppress(TimeoutError):
                peer.connection.recv(1)
        peer.end()

    backend = Backend(talk)
    _, client = tunnel(gateway, backend, idle_time)
    with client:
        assert set(client.rest()) == set(b"x")
        assert client.ending == "end"
    backend.close()


def test_both_sides_of_a_tunnel_are_asked_whether_they_are_there(
    gateway: Start, silent: Backend
) -> None:
    running, client = tunnel(gateway, silent, 60.0)
    with client:
        ports = {f"{running.port:04X}", f"{silent.port:04X}"}

        def watched() -> set[str]:
            """Return which of the ports have a connection with a keep-alive timer."""
            found = set()
            for line in Path("/proc/net/tcp").read_text().splitlines()[1:]:
                _, local, remote, _, _, timer, *_ = line.split()
                if timer.startswith(KEEP_ALIVE):
                    found |= ports & {local[-4:], remote[-4:]}
            return found

        eventually(lambda: watched() == ports)
    silent.close()
