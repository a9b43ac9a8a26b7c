from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import Iterator

import pytest

from mod_progress.gateway.streams.readiness import Readiness, readiness


@pytest.fixture
def loop() -> Iterator[asyncio.AbstractEventLoop]:
    loop = asyncio.new_event_loop()
    yield loop
    loop.close()


@pytest.fixture
def pair() -> Iterator[tuple[socket.socket, socket.socket]]:
    """Return both ends of a TCP connection."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        near = socket.create_connection(listening.getsockname())
        far, _ = listening.accept()
    with near, far:
        near.setblocking(False)
        yield near, far


def turn(loop: asyncio.AbstractEventLoop) -> None:
    """Let the loop handle what has happened: loopback is at once."""
    for _ in range(3):
        loop.call_soon(loop.stop)
        loop.run_forever()


def test_each_loop_has_its_own(loop: asyncio.AbstractEventLoop) -> None:
    assert readiness(loop) is readiness(loop)


def test_a_socket_is_watched_both_ways_and_for_its_end(
    loop: asyncio.AbstractEventLoop, pair: tuple[socket.socket, socket.socket]
) -> None:
    near, far = pair
    watched, events = Readiness(loop), []
    descriptor = near.fileno()

    def readable() -> None:
        events.append("readable")
        near.recv(100)

    def writable() -> None:
        events.append("writable")
        watched.when_writable(descriptor, None)

    watched.when_hung_up(descriptor, lambda error: events.append(f"hung up {error}"))
    watched.when_readable(descriptor, readable)
    watched.when_writable(descriptor, writable)
    turn(loop)
    assert events == ["writable"]
    far.send(b"x")
    turn(loop)
    assert events == ["writable", "readable"]
    watched.when_readable(descriptor, None)
    far.send(b"x")
    turn(loop)
    assert events == ["writable", "readable"]
    far.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    far.close()
    turn(loop)
    assert events == ["writable", "readable", "hung up True"]
    turn(loop)
    assert len(events) == 3


def test_whoever_waits_to_read_meets_the_end_there(
    loop: asyncio.AbstractEventLoop, pair: tuple[socket.socket, socket.socket]
) -> None:
    near, far = pair
    watched, events = Readiness(loop), []

    def readable() -> None:
        events.append(near.recv(100))
        watched.when_readable(near.fileno(), None)

    watched.when_hung_up(near.fileno(), lambda error: events.append(b"hung up"))
    watched.when_readable(near.fileno(), readable)
    far.close()
    turn(loop)
    assert events == [b""]
    watched.forget(near.fileno())


def test_what_is_forgotten_is_told_nothing(
    loop: asyncio.AbstractEventLoop, pair: tuple[socket.socket, socket.socket]
) -> None:
    near, far = pair
    watched = Readiness(loop)
    watched.when_readable(near.fileno(), lambda: pytest.fail("it was forgotten"))
    watched.forget(near.fileno())
    watched.forget(near.fileno())
    far.send(b"x")
    turn(loop)


def test_a_callback_that_fails_ends_nothing(
    loop: asyncio.AbstractEventLoop,
    pair: tuple[socket.socket, socket.socket],
    caplog: pytest.LogCaptureFixture,
) -> None:
    near, far = pair
    watched, events = Readiness(loop), []

    def readable() -> None:
        events.append(near.recv(100))
        raise LookupError("nobody expects this")

    watched.when_readable(near.fileno(), readable)
    for data in (b"a", b"b"):
        far.send(data)
        turn(loop)
    assert events == [b"a", b"b"]
    assert "nobody expects this" in caplog.text
    watched.forget(near.fileno())


def test_a_descriptor_that_was_closed_and_opened_in_the_same_turn_is_another(
    loop: asyncio.AbstractEventLoop,
) -> None:
    watched, events = Readiness(loop), []
    one, other = socket.socketpair()
    third, fourth = socket.socketpair()
    reused = third.fileno()

    def first() -> None:
        events.append("first")
        watched.forget(one.fileno())
        if reused in watched._watched:
            watched.forget(reused)
            watched.when_readable(reused, lambda: events.append("another"))

    watched.when_readable(one.fileno(), first)
    watched.when_readable(reused, lambda: events.append("stale"))
    with one, other, third, fourth:
        other.send(b"x")
        fourth.send(b"x")
        watched._dispatch()
        assert events in (["first"], ["stale", "first"])
        watched.forget(reused)
