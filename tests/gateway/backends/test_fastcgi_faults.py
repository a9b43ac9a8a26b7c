"""A FastCGI application, or its client, that leaves, errs, or takes its time."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from mod_progress.gateway.backends.fastcgi import FastCgiBackend
from tests.gateway.backend import Backend, Peer
from tests.gateway.backends.cgi_fronts import start_front
from tests.gateway.backends.fastcgi_app import (
    GET,
    HEAD_OF_ANSWER,
    OK,
    SIZED,
    serve,
    until_aborted,
)
from tests.gateway.bodies import ENDLESS, fill, pour
from tests.gateway.fastcgi_records import (
    ABORT_REQUEST,
    STDERR,
    Record,
    end,
    record,
    stdout,
    take_head,
    take_request,
)
from tests.gateway.fronts import SHORT, Front
from tests.gateway.running import PATIENCE, eventually

# Answers that come early, and clients that leave.


def test_an_early_answer(front: Front) -> None:
    last: list[Record] = []

    def script(peer: Peer) -> None:
        take_head(peer)
        peer.send(stdout(b"Status: 413 Too Large\n\nno") + end())
        until_aborted(peer, last)

    front.backend.begin(script)
    with front.connect() as client:
        client.send(SIZED % ENDLESS)
        pouring = threading.Thread(target=pour, args=(client.socket.sendall, "sized"))
        pouring.start()
        answer = client.answer()
        assert (answer.status, answer.body, answer["Connection"]) == (413, b"no", b"close")
        client.reset()
        pouring.join()
    eventually(lambda: front.backend.peers[0].ending)
    assert last[-1] == (ABORT_REQUEST, 1, b"")


@pytest.mark.parametrize(
    ("reply", "status"), [(b"", 502), (OK, 200)], ids=["without an answer", "after its answer"]
)
def test_an_application_that_leaves_in_the_body(front: Front, reply: bytes, status: int) -> None:
    def script(peer: Peer) -> None:
        take_head(peer)
        peer.send(reply)
        peer.reset()

    front.backend.begin(script)
    with front.connect() as client:
        client.send(SIZED % ENDLESS)
        pouring = threading.Thread(target=pour, args=(client.socket.sendall, "sized"))
        pouring.start()
        assert client.answer().status == status
        client.reset()
        pouring.join()


@pytest.mark.parametrize(
    ("sent", "how"),
    [(SIZED % 3 + b"abc", "reset"), (SIZED % 10 + b"abc", "reset"), (SIZED % 10 + b"abc", "end")],
    ids=["while it waits", "in its body", "in its body, with an end"],
)
def test_a_client_that_leaves(front: Front, sent: bytes, how: str) -> None:
    last: list[Record] = []
    begun = threading.Event()

    def script(peer: Peer) -> None:
        take_head(peer)
        begun.set()
        until_aborted(peer, last)

    front.backend.begin(script)
    with front.connect() as client:
        client.send(sent)
        assert begun.wait(PATIENCE)
        client.end() if how == "end" else client.reset()
        eventually(lambda: front.backend.peers[0].ending)
    assert front.backend.peers[0].ending == "end"
    assert last[-1] == (ABORT_REQUEST, 1, b"")
    eventually(lambda: front.gateway.show("i") == {"state": "error", "status": 0})


def test_a_client_that_leaves_before_the_application_has_read(front: Front) -> None:
    """What the application has not read is not counted, but for what is in buffers."""
    reading = threading.Event()
    last: list[Record] = []

    def script(peer: Peer) -> None:
        take_head(peer)
        reading.wait(PATIENCE)
        until_aborted(peer, last)

    front.backend.begin(script)
    with front.connect() as client:
        client.send(SIZED % ENDLESS)
        fill(client, "sized")
        eventually(lambda: front.gateway.show("i")["received"])
        shown = front.gateway.show("i")
        assert shown["state"] == "running"
        assert shown["received"] < shown["request_size"] == ENDLESS
        client.reset()
    eventually(lambda: front.gateway.show("i") == {"state": "error", "status": 0})
    reading.set()
    eventually(lambda: front.backend.peers[0].ending)
    assert last[-1] == (ABORT_REQUEST, 1, b""), "the last piece of the body is not whole"


# What goes wrong.

BROKEN = [
    pytest.param(b"", 502, id="nothing"),
    pytest.param(stdout(b"Content-Type: te"), 502, id="a part of a head"),
    pytest.param(end(), 502, id="no output"),
    pytest.param(stdout(b"Content-Type: te") + end(), 502, id="the end in a head"),
    pytest.param(stdout(b"Content-Length: 9\n\n") + end(), 502, id="no body"),
    pytest.param(record(STDERR, b"oops\n") + end(), 502, id="errors alone"),
    pytest.param(end(2), 503, id="overloaded"),
    pytest.param(end(1), 502, id="no multiplexing"),
    pytest.param(end(3), 502, id="no such role"),
    pytest.param(end(9), 502, id="no such status"),
    pytest.param(b"HTTP/1.1 200 OK\r\n\r\n", 502, id="HTTP"),
    pytest.param(stdout(b"not a head\n\n") + end(), 502, id="no head"),
    pytest.param(stdout(b"Status: 101\n\n"), 502, id="another protocol"),
    pytest.param(stdout(b"A" * 60_000), 502, id="a huge head"),
]


@pytest.mark.parametrize(("reply", "status"), BROKEN)
def test_a_fault_before_the_answer(front: Front, reply: bytes, status: int) -> None:
    def script(peer: Peer) -> None:
        take_request(peer)
        peer.send(reply)
        peer.end()
        peer.read_on()

    front.backend.begin(script)
    with front.connect() as client:
        client.send(SIZED % 3 + b"abc")
        assert client.answer().status == status
        assert front.gateway.show("i") == {"state": "error", "status": status}
        serve(front, OK)
        client.send(GET)
        assert client.answer().body == b"ok"


@pytest.mark.parametrize(
    "reply",
    [
        stdout(HEAD_OF_ANSWER + b"Z"),
        stdout(b"Content-Length: 5\n\nZ"),
        stdout(b"Content-Length: 5\n\nZ") + end(),
        stdout(HEAD_OF_ANSWER + b"Z") + b"\x07",
        stdout(HEAD_OF_ANSWER + b"Z") + b"what is this?",
        stdout(HEAD_OF_ANSWER + b"Z") + end(2),
    ],
    ids=["no end", "too short", "too short, with an end", "a header", "no record", "overloaded"],
)
@pytest.mark.parametrize("how", ["end", "reset"])
def test_a_fault_in_the_answer_cuts_it(front: Front, reply: bytes, how: str) -> None:
    seen = threading.Event()

    def script(peer: Peer) -> None:
        take_request(peer)
        head, _, rest = reply.partition(b"Z")
        peer.send(head + b"Z")
        assert seen.wait(PATIENCE)
        peer.send(rest)
        getattr(peer, how)()
        if how == "end":
            peer.read_on()

    front.backend.begin(script)
    with front.connect() as client:
        client.send(GET.replace(b"GET", b"POST"))
        client._through(b"\r\n\r\n")
        seen.set()
        assert b"Z" in client.rest()
        assert not client.buffer.endswith(b"0\r\n\r\n")
    eventually(lambda: front.gateway.show("i")["state"] == "error")


# Limits of time.

Limited = Callable[..., Front]


@pytest.fixture
def limited() -> Iterator[Limited]:
    fronts: list[Front] = []

    def begin(script: Callable[[Peer], None], **limits: Any) -> Front:
        fronts.append(start_front(FastCgiBackend, Backend(script), linger_size=2**40, **limits))
        return fronts[-1]

    yield begin
    for each in fronts:
        each.gateway.stop()
        each.backend.close()


def test_a_silent_application_is_504_and_told_to_stop(limited: Limited) -> None:
    last: list[Record] = []

    def script(peer: Peer) -> None:
        take_request(peer)
        until_aborted(peer, last)

    front = limited(script, upstream_read_time=SHORT)
    with front.connect() as client:
        client.send(GET)
        assert client.answer().status == 504
    eventually(lambda: front.backend.peers[0].ending)
    assert last[-1] == (ABORT_REQUEST, 1, b"")


def test_an_application_that_takes_nothing_is_504(limited: Limited) -> None:
    done = threading.Event()

    def script(peer: Peer) -> None:
        take_head(peer)
        done.wait(PATIENCE)

    front = limited(script, upstream_send_time=SHORT)
    with front.connect() as client:
        client.send(SIZED % ENDLESS)
        pouring = threading.Thread(target=pour, args=(client.socket.sendall, "sized"))
        pouring.start()
        assert client.answer().status == 504
        client.reset()
        pouring.join()
    done.set()


def test_an_application_that_is_not_there_is_502(limited: Limited) -> None:
    front = limited(Peer.read_on)
    front.backend.stop_listening()
    with front.connect() as client:
        client.send(GET)
        assert client.answer().status == 502
