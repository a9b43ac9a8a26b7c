"""What happens at each limit; and that who is slow holds nobody else up."""

from __future__ import annotations

import select
import socket
import struct
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack, suppress

import pytest

from tests.gateway.backend import Peer, answer_each
from tests.gateway.fronts import CHUNKED, GET, OWN, SHORT, SIZED, Limited
from tests.gateway.running import PATIENCE, Gateway, eventually
from tests.gateway.standing_clock import StandingClock
from tests.gateway.wire import Client


def drip(client: Client, data: bytes) -> None:
    """Send a byte ten times in a limit, until the gateway has had enough."""
    with suppress(OSError):
        for at in range(len(data)):
            client.socket.send(data[at : at + 1])
            if _ready(client, SHORT / 10):
                return
    raise AssertionError("the gateway was never tired of it")


def _ready(client: Client, seconds: float) -> bool:
    client.socket.settimeout(seconds)
    try:
        client.socket.recv(1, socket.MSG_PEEK)
    except TimeoutError:
        return False
    finally:
        client.socket.settimeout(PATIENCE)
    return True


# Heads


@pytest.mark.parametrize("part", [b"G", b"GET /x HTTP/1.1\r\n", GET[:-1]])
def test_a_head_has_its_time(limited: Limited, part: bytes) -> None:
    front = limited(head_time=SHORT)
    with front.connect() as client:
        client.send(part)
        answer = client.answer()
        assert (answer.status, answer["Connection"]) == (408, b"close")
        assert client.rest() == b""
    assert front.backend.raw == b""


def test_a_head_has_its_time_from_its_first_byte(limited: Limited) -> None:
    front = limited(head_time=SHORT)
    with front.connect() as client:
        drip(client, GET[:-2] + b"X: a\r\n" * 100)
        assert client.answer().status == 408


def test_a_second_head_has_its_time_too(limited: Limited) -> None:
    front = limited(head_time=SHORT)
    with front.connect() as client:
        client.send(OWN + b"GET")
        assert client.answer().status == 200
        assert client.answer().status == 408


def test_empty_lines_do_not_win_time(limited: Limited) -> None:
    front = limited(head_time=SHORT)
    with front.connect() as client:
        drip(client, b"\r\n" * 100)
        assert client.answer().status == 408


@pytest.mark.parametrize(
    ("limit", "request_", "status"),
    [
        ({"head_size": 100}, GET[:-2] + b"X: %b\r\n\r\n" % (b"a" * 100), 431),
        ({"head_fields": 3}, GET[:-2] + b"X: a\r\n" * 3 + b"\r\n", 431),
        ({"target_size": 10}, GET.replace(b"/x", b"/" + b"x" * 10), 414),
        ({"body_size": 3}, SIZED % 4 + b"abcd", 413),
        ({"body_size": 3}, CHUNKED + b"4\r\nabcd\r\n0\r\n\r\n", 413),
        ({"body_size": 3}, CHUNKED + b"2\r\nab\r\n2\r\ncd\r\n0\r\n\r\n", 413),
    ],
)
def test_sizes_have_their_limits(
    limited: Limited, limit: dict[str, int], request_: bytes, status: int
) -> None:
    front = limited(**limit)
    for feed in ("whole", "byte by byte"):
        with front.connect() as client:
            client.send(request_, feed)
            assert client.answer().status == status
    assert front.backend.requests == []
    within = request_.replace(b"a" * 100, b"").replace(b"X: a\r\n", b"", 1)
    within = within.replace(b"xx", b"x").replace(b"Length: 4", b"Length: 3")
    within = within.replace(b"4\r\nabcd", b"3\r\nabc").replace(b"2\r\ncd", b"1\r\nc")
    with front.connect() as client:
        client.send(within)
        assert client.answer().status == 200


@pytest.mark.parametrize("target", [b"/x", b"/own"])
def test_no_limit_of_a_body_is_none(limited: Limited, target: bytes) -> None:
    front = limited(body_size=0)
    with front.connect() as client:
        client.send(SIZED.replace(b"/x", target) % 300_000 + b"a" * 300_000)
        assert client.answer().status == 200


# Idle connections


@pytest.mark.parametrize("before", [b"", OWN, GET])
def test_an_idle_connection_is_closed(limited: Limited, before: bytes) -> None:
    front = limited(idle_time=SHORT)
    with front.connect() as client:
        client.send(before)
        if before:
            assert client.answer().status == 200
        assert client.rest() == b""
        assert client.ending == "end"


def test_connections_beyond_the_limit_wait(limited: Limited) -> None:
    front = limited(connections=2)
    with front.connect() as first, front.connect() as second, front.connect() as third:
        for client in (first, second):
            client.send(OWN)
            assert client.answer().status == 200
        third.send(OWN)
        assert not _ready(third, 0.2)
        first.socket.close()
        assert third.answer().status == 200


def test_many_ends_at_once_do_not_open_more_than_one_door(limited: Limited) -> None:
    front = limited(connections=4)
    for _ in range(5):
        with ExitStack() as held:
            for client in [held.enter_context(front.connect()) for _ in range(4)]:
                client.send(OWN)
                assert client.answer().status == 200
    with ExitStack() as held:
        clients = [held.enter_context(front.connect()) for _ in range(5)]
        for client in clients[:4]:
            client.send(OWN)
            assert client.answer().status == 200
        clients[4].send(OWN)
        assert not _ready(clients[4], 0.2)


# Bodies


BODIES = pytest.mark.parametrize(
    ("head", "piece"),
    [
        (SIZED % 1000, b"a"),
        (SIZED % 1_000_000, b"a"),
        (CHUNKED, b"1\r\na\r\n"),
        (CHUNKED, b"100000\r\naaa"),
    ],
    ids=["short", "long", "chunks", "a chunk"],
)


@BODIES
def test_a_body_that_stops_is_408(limited: Limited, head: bytes, piece: bytes) -> None:
    front = limited(body_idle_time=SHORT)
    with front.connect() as client:
        client.send(head + piece)
        answer = client.answer()
        assert (answer.status, answer["Connection"]) == (408, b"close")
        assert client.rest() == b""
    front.await_reset()
    assert not front.backend.raw.endswith(b"0\r\n\r\n")


@BODIES
def test_a_body_below_the_least_rate_is_408(limited: Limited, head: bytes, piece: bytes) -> None:
    front = limited(body_idle_time=SHORT, body_least_rate=1000)
    with front.connect() as client:
        client.send(head + piece)
        drip(client, b"1\r\na\r\n" * 1000 if piece.startswith(b"1\r") else b"a" * 1000)
        assert client.answer().status == 408
    front.await_reset()


def test_a_slow_phone_is_left_alone_by_default(limited: Limited) -> None:
    """160 bytes a second, and nothing at all for 50 seconds."""
    clock = StandingClock()
    front = limited(clock=clock)
    with front.connect() as client:
        client.send(SIZED % 40_000)
        for _ in range(5):
            client.send(b"a" * 8000)
            clock.advance(50)
        assert client.answer().status == 200


def test_who_sends_a_byte_now_and_then_is_not(limited: Limited) -> None:
    clock = StandingClock()
    front = limited(clock=clock)
    with front.connect() as client:
        client.send(SIZED % 40_000)
        while not select.select([client.socket], [], [], 0)[0]:
            client.send(b"a")
            clock.advance(10)
        assert client.answer().status == 408


@pytest.mark.parametrize("size", [30_000, 150_000], ids=["copied", "spliced"])
def test_a_body_at_its_rate_goes_on(limited: Limited, size: int) -> None:
    clock = StandingClock()
    front = limited(clock=clock, body_idle_time=SHORT, body_least_rate=1000)
    with front.connect() as client:
        client.send(SIZED % size)
        for _ in range(8):
            client.send(b"a" * (size // 10))
            clock.advance(SHORT / 5)
        client.send(b"a" * (size // 5))
        assert client.answer().status == 200


def test_a_slow_backend_is_not_the_clients_fault(limited: Limited) -> None:
    def script(peer: Peer) -> None:
        peer.take_through(b"\r\n\r\n")
        resume.wait(PATIENCE)
        peer.take(size)
        peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")

    size, resume, clock = 20_000_000, threading.Event(), StandingClock()
    front = limited(script, clock, body_idle_time=SHORT, body_least_rate=1000, head_time=0.2)
    with front.connect() as client:
        sending = threading.Thread(target=client.send, args=(SIZED % size + b"a" * size,))
        sending.start()
        eventually(lambda: _takes_no_more(client, clock))
        clock.advance(3 * SHORT)
        assert not _ready(client, 0.01)
        resume.set()
        assert client.answer().body == b"ok"
        sending.join()


def _takes_no_more(client: Client, clock: StandingClock) -> bool:
    """Whether the gateway's system acknowledged some of a body, but nothing more in a tick."""
    before = _acknowledged(client)
    clock.advance(0)
    return before > 0 and _acknowledged(client) == before


def _acknowledged(client: Client) -> int:
    """Return how many bytes of the client are acknowledged: tcpi_bytes_acked of tcp(7)."""
    information = client.socket.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 128)
    (acknowledged,) = struct.unpack_from("Q", information, 120)
    return int(acknowledged)


@pytest.mark.parametrize("framing", [b"Content-Length: 100000000", b"Transfer-Encoding: chunked"])
def test_a_client_that_does_not_read_is_cut(limited: Limited, framing: bytes) -> None:
    front = limited(_pour(framing), body_idle_time=SHORT)
    with front.connect(receive_buffer=4096) as client:
        client.send(GET)
        eventually(lambda: front.backend.peers and front.backend.peers[0].ending == "reset")


@pytest.mark.parametrize("framing", [b"Content-Length: 100000000", b"Transfer-Encoding: chunked"])
def test_a_client_that_reads_slowly_is_not(limited: Limited, framing: bytes) -> None:
    """A full socket is writable again only when a third of it was read: that takes its time."""
    clock = StandingClock()
    front = limited(_pour(framing), clock, body_idle_time=SHORT)
    with front.connect(receive_buffer=100_000) as client:
        client.send(GET)
        for _ in range(25):
            left = 50_000
            while left:
                came = client.socket.recv(left)
                assert came
                left -= len(came)
            clock.advance(SHORT / 10)
        assert front.backend.peers[-1].ending == ""


@pytest.mark.parametrize("framing", [b"Content-Length: 100000000", b"Transfer-Encoding: chunked"])
def test_a_client_that_reads_below_the_least_rate_is_cut(limited: Limited, framing: bytes) -> None:
    clock = StandingClock()
    front = limited(_pour(framing), clock, body_idle_time=SHORT, response_least_rate=10**9)
    with front.connect(receive_buffer=100_000) as client, suppress(ConnectionError):
        client.send(GET)
        for _ in range(25):
            left = 50_000
            while left:
                left -= len(client.socket.recv(left))
            clock.advance(SHORT / 10)
    eventually(lambda: front.backend.peers[-1].ending == "reset")


def test_an_answer_that_nobody_reads_does_not_stay(limited: Limited) -> None:
    """Also where it is all handed over, and nobody waits for room."""
    front = limited(body_idle_time=SHORT, idle_time=SHORT)
    size = 8_000_000
    target = b"/" + b"x" * 4000
    with front.connect(receive_buffer=4096) as client:
        with suppress(TimeoutError):
            client.socket.settimeout(SHORT)
            client.socket.sendall(GET.replace(b"/x", target) * (size // len(target)))
        client.socket.settimeout(PATIENCE)
        eventually(lambda: _sockets(front.gateway) == 0)


def _pour(framing: bytes) -> Callable[[Peer], None]:
    def script(peer: Peer) -> None:
        peer.take_through(b"\r\n\r\n")
        peer.send(b"HTTP/1.1 200 OK\r\n%b\r\n\r\n" % framing)
        with suppress(ConnectionError):
            while True:
                peer.connection.sendall(b"10000\r\n%b\r\n" % (b"a" * 65536))
        peer.ending = "reset"

    return script


def _sockets(gateway: Gateway) -> int:
    """Count the connections of clients that the gateway holds."""
    count = 0
    with open("/proc/net/tcp") as table:  # noqa: PTH123
        for line in table:
            local, state = line.split()[1:4:2]
            count += local.endswith(f":{gateway.port:04X}") and state == "01"
    return count


# Pipelines, and the rest of a refused body


@pytest.mark.parametrize("size", [0, 1000])
def test_a_pipeline_is_read_no_further_than_its_limit(limited: Limited, size: int) -> None:
    def script(peer: Peer) -> None:
        resume.wait(PATIENCE)
        answer_each(peer)

    resume = threading.Event()
    request = GET[:-2] + b"X: %b\r\n\r\n" % (b"a" * 10_000)
    requests = request * 2000
    front = limited(script, pipelined_size=size)
    with front.connect() as client:
        client.socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 100_000)
        client.socket.settimeout(0.2)
        sent = 0
        with suppress(TimeoutError):
            while sent < len(requests):
                sent += client.socket.send(requests[sent : sent + 1_000_000])
        assert sent < 10_000_000  # what the sockets of both sides hold, and no more
        client.socket.settimeout(PATIENCE)
        resume.set()
        for _ in range(sent // len(request)):
            assert client.answer().status == 200


@pytest.mark.parametrize("ending", ["time", "size"])
def test_the_rest_of_a_body_is_read_within_bounds(limited: Limited, ending: str) -> None:
    limits = {"linger_time": SHORT} if ending == "time" else {"linger_size": 1_000_000}
    front = limited(**limits)
    with front.connect() as client:
        client.send((SIZED % 10**9).replace(b"/x", b"/own"))
        with pytest.raises(ConnectionError):
            _send_on(client, 0.01 if ending == "time" else 0.0)


def _send_on(client: Client, pause: float) -> None:
    while True:
        client.socket.sendall(b"a" * 65536)
        time.sleep(pause)


# Nobody else is held up


def test_slow_clients_hold_nobody_up(limited: Limited) -> None:
    front = limited()
    with ExitStack() as held:
        for part in (b"GET", GET[:-2], SIZED % 1000 + b"a", SIZED % 10**6 + b"a", CHUNKED + b"5"):
            for _ in range(20):
                held.enter_context(front.connect()).send(part)
        for request in (OWN, GET):
            with front.connect() as client:
                client.send(request)
                assert client.answer().status == 200
