"""A FastCGI application behind the gateway: the very records, both ways, and what goes wrong."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import pytest

from mod_progress.gateway.backends.fastcgi import FastCgiBackend
from tests.gateway.backend import Backend, Ended, Peer
from tests.gateway.backends.cgi_fronts import start_front
from tests.gateway.bodies import ENDLESS, SIZE, fill, pour, send_body
from tests.gateway.fastcgi_records import (
    ABORT_REQUEST,
    STDERR,
    STDIN,
    FastCgiRequest,
    Record,
    end,
    record,
    stdout,
    take_head,
    take_record,
    take_request,
    take_stream,
)
from tests.gateway.fronts import SHORT, Front
from tests.gateway.running import PATIENCE, eventually
from tests.gateway.wire import FEEDS

GET = b"GET /x?X-Progress-ID=i HTTP/1.1\r\nHost: a\r\n\r\n"
HEAD = GET.replace(b"GET", b"HEAD")
SIZED = b"POST /x?X-Progress-ID=i HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n"
CHUNKED = b"POST /x?X-Progress-ID=i HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
HEAD_OF_ANSWER = b"Content-Type: text/plain\r\n\r\n"

#: A whole answer.
OK = stdout(HEAD_OF_ANSWER + b"ok") + end()


@pytest.fixture(scope="module")
def shared_front() -> Iterator[Front]:
    backend = Backend()
    kept = partial(FastCgiBackend, keep_alive=True)
    front = start_front(FastCgiBackend, backend, kept, linger_size=2**40)
    yield front
    front.gateway.stop()
    backend.close()


@pytest.fixture
def front(shared_front: Front) -> Front:
    """Return the module's gateway, and its backend as if it were new."""
    shared_front.backend.begin()
    return shared_front


class App:
    """An application that answers each connection's requests with bytes, and keeps the requests."""

    def __init__(self, *replies: bytes, byte_by_byte: bool = False) -> None:
        self.replies = replies
        self.byte_by_byte = byte_by_byte
        self.requests: list[FastCgiRequest] = []

    def __call__(self, peer: Peer) -> None:
        for reply in self.replies:
            self.requests.append(take_request(peer))
            if self.byte_by_byte:
                for at in range(len(reply)):
                    peer.send(reply[at : at + 1])
            else:
                peer.send(reply)
        peer.read_on()


def serve(front: Front, *replies: bytes, byte_by_byte: bool = False) -> App:
    app = App(*replies, byte_by_byte=byte_by_byte)
    front.backend.begin(app)
    return app


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


# Answers that come early, and clients that leave.


def until_aborted(peer: Peer, records: list[Record]) -> None:
    """Read until the gateway ends the connection; keep what came last."""
    try:
        while True:
            records[:] = [*records[-1:], take_record(peer)]
    except Ended:
        pass


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
