"""A FastCGI application behind the gateway: the very records, both ways."""

from __future__ import annotations

import hashlib

import pytest

from tests.gateway.backend import Peer
from tests.gateway.backends.fastcgi_app import (
    CHUNKED,
    GET,
    HEAD,
    HEAD_OF_ANSWER,
    OK,
    SIZED,
    serve,
)
from tests.gateway.bodies import ENDLESS, SIZE, pour, send_body
from tests.gateway.fastcgi_records import (
    STDIN,
    end,
    stdout,
    take_head,
    take_record,
    take_request,
    take_stream,
)
from tests.gateway.fronts import Front
from tests.gateway.running import eventually
from tests.gateway.wire import FEEDS

# The request.


@pytest.mark.parametrize("feed", FEEDS)
def test_a_request_without_a_body(front: Front, feed: str) -> None:
    app = serve(front, OK)
    with front.connect() as client:
        client.send(GET, feed)
        answer = client.answer()
        assert (answer.status, answer.body, answer["Content-Type"]) == (200, b"ok", b"text/plain")
        if feed == "with trailing data":
            assert client.answer().body == b"ok"
    (keep, variables, body), *_ = app.requests
    assert (keep, body) == (False, b"")
    assert "CONTENT_LENGTH" not in variables
    assert variables["REQUEST_METHOD"] == "GET"


@pytest.mark.parametrize("feed", FEEDS)
@pytest.mark.parametrize(
    "sent",
    [SIZED % 3 + b"abc", CHUNKED + b"1\r\na\r\n2\r\nbc\r\n0\r\n\r\n"],
    ids=["sized", "chunked"],
)
def test_a_request_with_a_body(front: Front, sent: bytes, feed: str) -> None:
    app = serve(front, OK)
    with front.connect() as client:
        client.send(sent, feed)
        assert client.answer().body == b"ok"
        if feed == "with trailing data":
            assert client.answer().body == b"ok"
    assert app.requests[0].body == b"abc"
    assert app.requests[0].variables["CONTENT_LENGTH"] == "3"
    assert front.gateway.show("i")["received"] == 3


@pytest.mark.parametrize("target", [b"/x", b"/held", b"/kept"])
@pytest.mark.parametrize("framing", ["sized", "chunked"])
def test_a_large_body_streams(front: Front, framing: str, target: bytes) -> None:
    def script(peer: Peer) -> None:
        request = take_head(peer)
        assert request.variables["CONTENT_LENGTH"] == str(SIZE)
        digest = hashlib.sha256()
        while piece := take_stream(peer, STDIN):
            digest.update(piece)
        peer.send(stdout(HEAD_OF_ANSWER + digest.hexdigest().encode()) + end())

    front.backend.begin(script)
    head = SIZED % SIZE if framing == "sized" else CHUNKED
    with front.connect() as client:
        client.send(head.replace(b"/x", target))
        digest = send_body(client.socket.sendall, framing, SIZE)
        assert client.answer().body.decode() == digest
    eventually(lambda: front.gateway.show("i")["state"] == "done")
    assert front.gateway.show("i")["received"] == SIZE


def test_a_client_that_waits_is_asked_for_the_body(front: Front) -> None:
    app = serve(front, OK)
    with front.connect() as client:
        client.send(SIZED.replace(b"\r\n\r\n", b"\r\nExpect: 100-continue\r\n\r\n") % 3)
        assert client.answer().status == 100
        client.send(b"abc")
        assert client.answer().body == b"ok"
    assert app.requests[0].body == b"abc"


# The answer.

ANSWERS = [
    pytest.param(b"", b"x" * 10, True, id="no length"),
    pytest.param(b"Content-Length: 10\r\n", b"x" * 10, False, id="a length"),
    pytest.param(b"Content-Length: 0\r\n", b"", False, id="no body"),
    pytest.param(b"", b"", True, id="an empty body"),
    pytest.param(b"Content-Length: 200000\r\n", b"x" * 200_000, False, id="a large length"),
    pytest.param(b"", b"x" * 200_000, True, id="a large body"),
]


def framed(data: bytes) -> bytes:
    """Return the records of an output: none is longer than PHP's, which differ in padding."""
    pieces = [data[at : at + 8184] for at in range(0, len(data), 8184)]
    return b"".join(stdout(piece, -len(piece) % 8) for piece in pieces) + stdout(b"")


@pytest.mark.parametrize("line_end", [b"\n", b"\r\n"], ids=["LF", "CRLF"])
@pytest.mark.parametrize(("field", "body", "chunked"), ANSWERS)
def test_an_answer(front: Front, field: bytes, body: bytes, chunked: bool, line_end: bytes) -> None:
    head = (b"Status: 201 Created\r\nX-A: b\r\n%b\r\n" % field).replace(b"\r\n", line_end)
    serve(front, framed(head + body) + end(), byte_by_byte=len(body) < 100)
    with front.connect() as client:
        client.send(GET)
        answer = client.answer()
    assert (answer.status, answer.body, answer.chunked) == (201, body, chunked)
    names = [line.partition(b":")[0] for line in answer.lines]
    framing = b"Transfer-Encoding" if chunked else b"Content-Length"
    assert names == [b"Date", b"X-A", framing]


@pytest.mark.parametrize(
    ("request_", "head"),
    [
        (HEAD, b"Content-Length: 10\n\n"),
        (HEAD, HEAD_OF_ANSWER),
        (GET, b"Status: 204 No Content\n\n"),
        (GET, b"Status: 304 Not Modified\nContent-Length: 10\n\n"),
    ],
    ids=["HEAD, a length", "HEAD", "204", "304"],
)
@pytest.mark.parametrize("target", [b"/x", b"/kept"])
def test_an_answer_without_a_body(
    front: Front, request_: bytes, head: bytes, target: bytes
) -> None:
    serve(front, *[stdout(head + b"a body all the same") + end()] * 2)
    with front.connect() as client:
        for _ in range(2):
            client.send(request_.replace(b"/x", target))
            assert client.answer("HEAD").status == (200 if request_ is HEAD else int(head[8:11]))


@pytest.mark.parametrize("target", [b"/x", b"/kept"])
def test_more_than_the_length_is_dropped(front: Front, target: bytes) -> None:
    serve(front, *[stdout(b"Content-Length: 2\n\nok and more") + end()] * 2)
    with front.connect() as client:
        for _ in range(2):
            client.send(GET.replace(b"/x", target))
            assert client.answer().body == b"ok"


def test_interim_answers_go_on(front: Front) -> None:
    hint = b"Status: 103 Early Hints\nLink: </a>\n\n"
    serve(front, stdout(hint + hint + HEAD_OF_ANSWER + b"ok") + end(), byte_by_byte=True)
    with front.connect() as client:
        client.send(GET)
        for _ in range(2):
            interim = client.answer()
            assert (interim.status, interim["Link"]) == (103, b"</a>")
        assert client.answer().body == b"ok"


def test_an_old_client_gets_no_interim_answer(front: Front) -> None:
    serve(front, stdout(b"Status: 103\n\n" + HEAD_OF_ANSWER + b"ok") + end())
    with front.connect() as client:
        client.send(GET.replace(b"HTTP/1.1", b"HTTP/1.0"))
        assert client.answer().body == b"ok"


def test_what_is_sent_is_what_the_client_has(front: Front) -> None:
    def script(peer: Peer) -> None:
        take_request(peer)
        peer.send(stdout(b"Content-Length: %d\n\n" % ENDLESS))
        pour(lambda data: peer.connection.sendall(stdout(data[:65_535])), "sized")

    front.backend.begin(script)
    with front.connect(receive_buffer=65_536) as client:
        client.send(GET.replace(b"GET", b"POST"))
        assert client.socket.recv(1000)
        shown = front.gateway.show("i")
        assert shown["state"] == "running"
        assert shown["sent"] < shown["response_size"] == ENDLESS
    eventually(lambda: front.gateway.show("i")["state"] == "error")


# Connections that are kept.


def test_a_connection_is_closed_after_a_request(front: Front) -> None:
    serve(front, OK, OK)
    with front.connect() as client:
        for _ in range(2):
            client.send(GET)
            assert client.answer().body == b"ok"
    eventually(lambda: [peer.ending for peer in front.backend.peers] == ["end", "end"])


@pytest.mark.parametrize(
    "answer",
    [OK, stdout(b"Content-Length: 2\n\nok") + end(), stdout(b"Content-Length: 2\n\nok", 6) + end()],
)
def test_a_connection_is_kept(front: Front, answer: bytes) -> None:
    app = serve(front, *[answer] * 3)
    with front.connect() as client:
        for _ in range(3):
            client.send(GET.replace(b"/x", b"/kept"))
            assert client.answer().body == b"ok"
    assert [request.keep for request in app.requests] == [True] * 3
    assert len(front.backend.peers) == 1


@pytest.mark.parametrize(
    "answer",
    [OK + stdout(b"more"), stdout(b"Content-Length: 2\n\nok")],
    ids=["something after the end", "no end"],
)
def test_a_connection_that_is_not_at_its_end_is_closed(front: Front, answer: bytes) -> None:
    serve(front, answer)
    with front.connect() as client:
        for _ in range(2):
            client.send(GET.replace(b"/x", b"/kept"))
            assert client.answer().body == b"ok"
    assert len(front.backend.peers) == 2


@pytest.mark.parametrize(
    ("request_", "status"), [(GET, 200), (SIZED % 3 + b"abc", 502)], ids=["GET", "POST"]
)
def test_a_connection_that_was_closed_meanwhile(front: Front, request_: bytes, status: int) -> None:
    """The application closes when it sees the second request: nobody knew before."""

    def script(peer: Peer) -> None:
        take_request(peer)
        peer.send(OK)
        take_record(peer)

    front.backend.begin(script)
    with front.connect() as client:
        client.send(GET.replace(b"/x", b"/kept"))
        assert client.answer().body == b"ok"
        client.send(request_.replace(b"/x", b"/kept"))
        assert client.answer().status == status
    assert len(front.backend.peers) == (2 if status == 200 else 1)
