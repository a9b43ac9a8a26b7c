from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from mod_progress.gateway.actions.push import Push

LINES = b"Content-Type: text/event-stream\r\n"


class Stream:
    """Gives the parts that a test puts there."""

    def __init__(self, *parts: bytes) -> None:
        self.parts = list(parts)
        self.ended = False
        self.closed = False

    def open(self, post: Any, wake: Callable[[], object]) -> None:
        pass

    def take(self) -> bytes:
        return self.parts.pop(0) if self.parts else b""

    def close(self) -> None:
        self.ended = self.closed = True


class Exchange:
    """Keeps what is sent through it; the test says what the client has not acknowledged."""

    def __init__(self) -> None:
        self.client = self.loop = self
        self.body = self.request = self
        self.finished = True
        self.method = "GET"
        self.quick: Any = None
        self.unread = 0
        self.sent: list[bytes] = []
        self.later: list[Callable[[], object]] = []
        self.whole = False

    def call_soon_threadsafe(self, call: Callable[[], object]) -> None:
        raise AssertionError

    def call_later(self, seconds: float, call: Callable[[], object]) -> None:
        self.later.append(call)

    def unacknowledged(self) -> int:
        return self.unread

    def start(self, status: int, lines: bytes, size: int | None, first: bytes = b"") -> None:
        assert (status, lines, size) == (200, LINES, None)
        self.sent.append(first)

    def send_now(self, data: bytes) -> None:
        self.sent.append(data)

    def finish(self) -> None:
        self.whole = True


@pytest.fixture
def exchange() -> Exchange:
    return Exchange()


def push(exchange: Exchange, stream: Stream) -> tuple[Push, list[str]]:
    done: list[str] = []
    pushing = Push(exchange, stream, lambda: done.append("done"))  # type: ignore[arg-type]
    pushing.begin(200, LINES)
    return pushing, done


def test_the_first_part_goes_with_the_head_and_the_last_ends_it(exchange: Exchange) -> None:
    stream = Stream(b"1", b"2")
    pushing, done = push(exchange, stream)
    assert exchange.sent == [b"1"]
    pushing.wake()
    assert (exchange.sent, exchange.whole, done) == ([b"1", b"2"], False, [])
    stream.ended = True
    pushing.wake()
    assert (exchange.whole, done) == (True, ["done"])
    assert exchange.quick is None


def test_a_client_that_has_not_read_gets_the_latest_when_it_has(exchange: Exchange) -> None:
    stream = Stream(b"1")
    pushing, _ = push(exchange, stream)
    exchange.unread = 2000
    stream.parts = [b"outdated"]
    pushing.wake()
    stream.parts = [b"latest"]
    assert exchange.sent == [b"1"]
    (again,) = exchange.later
    again()
    assert exchange.sent == [b"1"]
    exchange.unread = 0
    exchange.later.pop()()
    assert exchange.sent == [b"1", b"latest"]


def test_a_client_that_is_gone_is_sent_nothing_more(exchange: Exchange) -> None:
    stream = Stream(b"1", b"2")
    pushing, done = push(exchange, stream)
    pushing.abandon()
    pushing.wake()
    assert (exchange.sent, stream.closed) == ([b"1"], True)
    assert (exchange.whole, done) == (False, [])


def test_a_client_that_will_send_nothing_more_gets_its_stream_ended(exchange: Exchange) -> None:
    stream = Stream(b"1", b"2")
    pushing, done = push(exchange, stream)
    pushing.client_ended()
    pushing.wake()
    assert (exchange.sent, stream.closed) == ([b"1"], True)
    assert (exchange.whole, done) == (True, ["done"])


def test_a_stream_that_is_over_at_once_is_whole_at_once(exchange: Exchange) -> None:
    stream = Stream(b"1")
    stream.ended = True
    _, done = push(exchange, stream)
    assert (exchange.sent, exchange.whole, exchange.quick, done) == ([b"1"], True, None, [])
