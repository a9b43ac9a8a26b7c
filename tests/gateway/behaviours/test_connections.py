"""One connection, many requests: expectations, pipelines, old clients, half-closes, retries."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.gateway.backend import Peer, Script, answer_each
from tests.gateway.fronts import Front
from tests.gateway.running import PATIENCE, eventually
from tests.gateway.wire import FEEDS, TRAILING, Client

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


def get(target: bytes, version: bytes = b"HTTP/1.1", *fields: bytes) -> bytes:
    return b"\r\n".join([b"GET %b %b" % (target, version), b"Host: a", *fields, b"", b""])


def post(target: bytes, *fields: bytes) -> bytes:
    return b"\r\n".join([b"POST %b HTTP/1.1" % target, b"Host: a", *fields, b"", b""])


# 18: expectations

EXPECT = post(b"/x", b"Content-Length: 3", b"Expect: 100-Continue")


@pytest.mark.parametrize("feed", ["whole", "byte by byte"])
def test_an_expectation_goes_on_and_so_does_its_answer(front: Front, feed: str) -> None:
    def script(peer: Peer) -> None:
        assert b"\r\nExpect: 100-continue\r\n" in peer.take_through(b"\r\n\r\n")
        peer.send(b"HTTP/1.1 100 Continue\r\n\r\n")
        assert peer.take(3) == b"abc"
        peer.send(OK)

    front.backend.begin(script)
    with front.connect() as client:
        client.send(EXPECT, feed)
        assert client.answer().status == 100
        client.send(b"abc", feed)
        assert client.answer().body == b"ok"


@pytest.mark.parametrize("status", [417, 401, 413])
def test_a_final_answer_to_an_expectation_comes_without_100(front: Front, status: int) -> None:
    def script(peer: Peer) -> None:
        peer.take_through(b"\r\n\r\n")
        peer.send(b"HTTP/1.1 %d No\r\nContent-Length: 2\r\n\r\nno" % status)
        peer.read_on()

    front.backend.begin(script)
    with front.connect() as client:
        client.send(EXPECT)
        answer = client.answer()
        assert (answer.status, answer.body) == (status, b"no")
        assert answer["Connection"] == b"close"
        assert client.rest() == b""
    assert not front.backend.raw.endswith(b"abc")


def test_an_answer_of_ours_needs_no_100(front: Front) -> None:
    with front.connect() as client:
        client.send(EXPECT.replace(b"/x", b"/own"))
        answer = client.answer()
        assert (answer.status, answer["Connection"]) == (200, b"close")
        assert client.rest() == b""


def test_the_expectation_of_an_old_client_is_ignored(front: Front) -> None:
    with front.connect() as client:
        client.send(EXPECT.replace(b"HTTP/1.1", b"HTTP/1.0") + b"abc")
        assert client.answer().status == 200
    assert b"Expect" not in front.backend.requests[0].head


# 21: fields of an answer


def test_fields_for_one_connection_alone_end_here(front: Front) -> None:
    lines = [
        b"Connection: X-A, close, Content-Length, Via",
        b"Keep-Alive: timeout=5",
        b"Proxy-Connection: close",
        b"Trailer: X-T",
        b"Upgrade: h2c",
        b"X-A: 1",
        b"X-B: 2",
        b"Via: 1.0 b",
        b"Content-Length: 2",
        b"Set-Cookie: a",
        b"set-cookie: b",
    ]

    def script(peer: Peer) -> None:
        peer.request()
        peer.send(b"\r\n".join([b"HTTP/1.1 200 OK", *lines, b"", b"ok"]))
        peer.read_on()

    front.backend.begin(script)
    with front.connect() as client:
        client.send(get(b"/x"))
        answer = client.answer()
    assert answer.lines[0].startswith(b"Date: ")
    assert answer.lines[1:] == [
        b"X-B: 2",
        b"Via: 1.0 b",
        b"Set-Cookie: a",
        b"set-cookie: b",
        b"Via: 1.1 mod_progress",
        b"Content-Length: 2",
    ]


@pytest.mark.parametrize(
    ("fields", "dates"), [(b"Date: x\r\n", 1), (b"", 1), (b"Connection: Date\r\nDate: x\r\n", 1)]
)
def test_every_answer_has_one_date(front: Front, fields: bytes, dates: int) -> None:
    def script(peer: Peer) -> None:
        peer.request()
        peer.send(b"HTTP/1.1 200 OK\r\n%bContent-Length: 0\r\n\r\n" % fields)

    front.backend.begin(script)
    with front.connect() as client:
        client.send(get(b"/x"))
        assert sum(line.startswith(b"Date: ") for line in client.answer().lines) == dates


# 24: half-closes


@pytest.mark.parametrize("feed", ["whole", "byte by byte"])
@pytest.mark.parametrize(
    "request_",
    [
        get(b"/x"),
        get(b"/own"),
        post(b"/x", b"Content-Length: 3") + b"abc",
        post(b"/x", b"Transfer-Encoding: chunked") + b"3\r\nabc\r\n0\r\n\r\n",
        get(b"/1") + get(b"/own") + get(b"/x"),
    ],
)
def test_a_client_that_sends_no_more_is_answered(front: Front, request_: bytes, feed: str) -> None:
    with front.connect() as client:
        client.send(request_, feed)
        client.end()
        for target in (word for word in request_.split() if word.startswith(b"/")):
            assert client.answer().body == (b"own\n" if target == b"/own" else target)
        assert client.rest() == b""
        assert client.ending == "end"


@pytest.mark.parametrize("kept", [False, True], ids=["new backend", "kept backend"])
def test_a_client_that_sends_no_more_may_wait_for_its_backend(front: Front, kept: bool) -> None:
    def script(peer: Peer) -> None:
        if kept:
            peer.request()
            peer.send(OK)
        peer.request()
        noticed.wait(PATIENCE)
        peer.send(OK)

    noticed = threading.Event()
    front.backend.begin(script)
    with front.connect() as client:
        if kept:
            client.send(get(b"/x"))
            assert client.answer().body == b"ok"
        client.send(get(b"/x"))
        eventually(lambda: len(front.backend.requests) == 1 + kept)
        client.end()
        with front.connect() as other:  # the loop tells of what came in order
            other.send(get(b"/own"))
            assert other.answer().status == 200
        noticed.set()
        assert client.answer().body == b"ok"
        assert client.rest() == b""
        assert client.ending == "end"


@pytest.mark.parametrize(
    "part",
    [
        b"",
        b"\r\n",
        b"GET /x HTTP/1.1\r\nHost: a\r\n",
        post(b"/x", b"Content-Length: 4") + b"abc",
        post(b"/x", b"Content-Length: 400000") + b"abc",
        post(b"/x", b"Transfer-Encoding: chunked") + b"3\r\nabc\r\n0\r\n",
    ],
)
def test_a_request_that_is_cut_stays_cut(front: Front, part: bytes) -> None:
    with front.connect() as client:
        client.send(part)
        client.end()
        assert client.rest() == b""
    for peer in front.backend.peers:
        eventually(lambda peer=peer: peer.ending == "reset")  # type: ignore[misc]
    assert front.backend.requests == []


# 25: HTTP/1.0

KEEP = b"Connection: keep-alive"


@pytest.mark.parametrize("target", [b"/own", b"/x"])
def test_an_old_connection_closes_unless_kept(front: Front, target: bytes) -> None:
    with front.connect() as client:
        client.send(get(target, b"HTTP/1.0", KEEP))
        assert client.answer()["Connection"] == b"keep-alive"
        client.send(get(target, b"HTTP/1.0") + TRAILING)
        assert client.answer()["Connection"] == b"close"
        assert client.rest() == b""
        assert client.ending == "end"


def test_an_old_client_that_would_keep_on_gets_an_unsized_answer_to_the_end(front: Front) -> None:
    def script(peer: Peer) -> None:
        peer.request()
        peer.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n")

    front.backend.begin(script)
    with front.connect() as client:
        client.send(get(b"/x", b"HTTP/1.0", KEEP))
        answer = client.answer()
        assert (answer.body, answer["Connection"], answer.chunked) == (b"abc", b"close", False)
        assert client.rest() == b""


@pytest.mark.parametrize("target", [b"/own", b"/x"])
def test_close_is_the_last_word(front: Front, target: bytes) -> None:
    with front.connect() as client:
        client.send(get(target, b"HTTP/1.1", b"Connection: CLOSE") + TRAILING)
        assert client.answer()["Connection"] == b"close"
        assert client.rest() == b""
    assert b"/trailing" not in front.backend.raw


# 26: pipelines


@pytest.mark.parametrize("feed", FEEDS)
def test_pipelined_requests_are_answered_in_order(front: Front, feed: str) -> None:
    targets = [b"/own" if n % 3 == 0 else b"/%d" % n for n in range(30)]
    with front.connect() as client:
        client.send(b"".join(map(get, targets)), feed)
        for target in [*targets, *([b"/trailing"] if feed == FEEDS[2] else [])]:
            assert client.answer().body == (b"own\n" if target == b"/own" else target)


@pytest.mark.parametrize("feed", FEEDS)
def test_a_body_ends_where_the_next_request_begins(front: Front, feed: str) -> None:
    sized = post(b"/sized", b"Content-Length: 7") + b"GET /no"
    chunked = post(b"/chunked", b"Transfer-Encoding: chunked") + b"4\r\nGET \r\n0\r\nGET: a\r\n\r\n"
    unread = post(b"/own", b"Content-Length: 5") + b"GET /"
    with front.connect() as client:
        client.send(sized + chunked + unread + get(b"/last"), feed)
        bodies = [client.answer().body for _ in range(2)]
        assert bodies == [b"/sized", b"/chunked"]
        answer = client.answer()
        assert answer.body == b"own\n"
        if answer["Connection"] is None:  # all of the body was here when it was answered
            assert client.answer().body == b"/last"
    assert [request.payload for request in front.backend.requests[:2]] == [b"GET /no", b"GET "]


def test_a_request_after_a_bad_one_is_nobodys(front: Front) -> None:
    with front.connect() as client:
        client.send(get(b"/1") + b"BAD\r\n" + get(b"/2"))
        assert client.answer().body == b"/1"
        assert client.answer().status == 400
        assert client.rest() == b""
    assert b"/2" not in front.backend.raw


# 27: kept connections that were closed


def closing_after(answers: int) -> Script:
    """Answer so many requests, and close at the next."""

    def script(peer: Peer) -> None:
        for _ in range(answers):
            peer.request()
            peer.send(OK)
        peer.request()

    return script


@contextmanager
def after_one(front: Front) -> Iterator[Client]:
    """Have one request answered by a backend that closes at the next."""
    front.backend.begin(closing_after(1))
    with front.connect() as client:
        client.send(get(b"/1"))
        assert client.answer().body == b"ok"
        yield client


@pytest.mark.parametrize("method", [b"GET", b"HEAD", b"OPTIONS", b"DELETE", b"PUT", b"TRACE"])
def test_what_can_be_repeated_is_sent_once_more(front: Front, method: bytes) -> None:
    with after_one(front) as client:
        front.backend.script = answer_each
        client.send(get(b"/2").replace(b"GET", method))
        assert client.answer(method.decode()).status == 200
    assert [request.head.split(b" ")[1] for request in front.backend.requests] == [
        b"/1",
        b"/2",
        b"/2",
    ]


def test_it_is_sent_no_more_than_twice(front: Front) -> None:
    with after_one(front) as client:
        front.backend.script = closing_after(0)
        client.send(get(b"/2"))
        assert client.answer().status == 502
    assert len(front.backend.requests) == 3


@pytest.mark.parametrize(
    "request_",
    [
        post(b"/2"),
        post(b"/2", b"Content-Length: 3") + b"abc",
        post(b"/2", b"Content-Length: 3").replace(b"POST", b"PUT") + b"abc",
        post(b"/2", b"Transfer-Encoding: chunked") + b"0\r\n\r\n",
        get(b"/2").replace(b"GET", b"PATCH"),
    ],
)
def test_what_cannot_be_repeated_is_502(front: Front, request_: bytes) -> None:
    with after_one(front) as client:
        front.backend.script = answer_each
        client.send(request_)
        assert client.answer().status == 502
    assert len(front.backend.requests) == 2


def test_a_new_connection_that_closes_is_502_at_once(front: Front) -> None:
    front.backend.begin(closing_after(0))
    with front.connect() as client:
        client.send(get(b"/1"))
        assert client.answer().status == 502
    assert len(front.backend.requests) == 1


def test_an_end_that_is_here_already_costs_no_request(front: Front) -> None:
    """A backend that closes what is idle does not lose a POST, if there is time to notice."""

    def script(peer: Peer) -> None:
        peer.request()
        peer.send(OK)
        peer.end()
        peer.read_on()

    front.backend.begin(script)
    with front.connect() as client:
        for number in range(1, 20):
            client.send(post(b"/x", b"Content-Length: 3") + b"abc")
            assert client.answer().body == b"ok"
            eventually(lambda number=number: front.backend.peers[number - 1].ending)  # type: ignore[misc]


# 28: interim answers


def test_interim_answers_come_in_order_and_leave_the_connection_whole(front: Front) -> None:
    def script(peer: Peer) -> None:
        for _ in range(2):
            peer.request()
            for status in (102, 103, 103):
                peer.send(b"HTTP/1.1 %d x\r\nContent-Length: 9\r\nConnection: x\r\n\r\n" % status)
            peer.send(OK)

    front.backend.begin(script)
    with front.connect() as client:
        for _ in range(2):
            client.send(get(b"/x"))
            interim = [client.answer() for _ in range(3)]
            assert [(answer.status, answer.lines) for answer in interim] == [
                (102, []),
                (103, []),
                (103, []),
            ]
            assert client.answer().body == b"ok"


def test_an_answer_that_never_ends_its_interims_is_cut(front: Front) -> None:
    def script(peer: Peer) -> None:
        peer.request()
        peer.send(b"HTTP/1.1 103 x\r\n\r\n" * 3)

    front.backend.begin(script)
    with front.connect() as client:
        client.send(get(b"/x"))
        assert [client.answer().status for _ in range(4)] == [103, 103, 103, 502]
