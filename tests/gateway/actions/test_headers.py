"""Fields that a site adds to the responses of whoever answers, and to the requests of backends."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from typing import NamedTuple

import pytest

from tests.gateway import configured
from tests.gateway.backend import Backend, Peer, answer_each, replying
from tests.gateway.running import Gateway
from tests.gateway.wire import FEEDS, TRAILING, Answer, Client

SITE = """
header.set "X-Site" => "%{req.host}";
header.add "X-Path" => "%{req.path}";
header.append "Vary" => "Cookie";
header.remove "X-Powered-By";
if req.path == "/progress" { progress.show; }
else if req.path == "/events" { progress.show "events"; }
else if req.path == "/denied" { access.deny; }
else if req.path =^ "/file" { docroot "DIRECTORY"; static; }
else if req.path == "/down" { proxy "127.0.0.1:9"; }
else {
    progress.track;
    if req.path =~ "(?s)^/as/([^/]+)/(.*)$" {
        req_header.set "Host" => "%1.internal:8080";
        req_header.set "X-User" => "%2";
        req_header.remove "Cookie";
    }
    proxy "BACKEND";
}
"""

LARGE = 1 << 20


class Site(NamedTuple):
    gateway: Gateway
    backend: Backend

    def connect(self) -> Client:
        return Client(self.gateway.port)


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    directory = tmp_path_factory.mktemp("headers")
    (directory / "file.html").write_bytes(b"a" * LARGE)
    (directory / "file.txt").write_bytes(b"small")
    with ExitStack() as cleanup:
        backend = Backend()
        cleanup.callback(backend.close)
        text = SITE.replace("BACKEND", backend.address).replace("DIRECTORY", str(directory))
        gateway = configured.start(directory, text)
        cleanup.callback(gateway.stop)
        yield Site(gateway, backend)


@pytest.fixture
def site(shared: Site) -> Site:
    shared.backend.begin()
    return shared


def get(target: str, method: str = "GET", *fields: str) -> bytes:
    return "\r\n".join([f"{method} {target} HTTP/1.1", "Host: A", *fields, "", ""]).encode()


def check(answer: Answer, status: int, path: bytes) -> None:
    """Check that the fields of the site are there, once."""
    assert answer.status == status
    assert (answer["X-Site"], answer["X-Path"]) == (b"a", path)
    assert answer["X-Powered-By"] is None


@pytest.mark.parametrize("feed", FEEDS)
@pytest.mark.parametrize(
    ("target", "method", "status"),
    [
        ("/x", "GET", 200),
        ("/x", "HEAD", 200),
        ("/file.txt", "GET", 200),
        ("/file.html", "GET", 200),
        ("/file.html", "HEAD", 200),
        ("/file.html", "POST", 405),
        ("/file-none", "GET", 404),
        ("/denied", "GET", 403),
        ("/down", "GET", 502),
        ("/progress", "GET", 400),
        ("/progress?X-Progress-ID=a", "GET", 200),
    ],
)
def test_whoever_answers(site: Site, target: str, method: str, status: int, feed: str) -> None:
    site.backend.begin(head_or_target)
    with site.connect() as client:
        client.send(get(target, method), feed)
        answer = client.answer(method)
        check(answer, status, target.partition("?")[0].encode())
        assert answer["Vary"] == b"Cookie"
        if feed == "with trailing data":
            check(client.answer(), 200, b"/trailing")


def head_or_target(peer: Peer) -> None:
    """Answer each request, as `answer_each` does, but HEAD without a body."""
    while True:
        method, target = peer.request().head.split(b" ")[:2]
        body = b"" if method == b"HEAD" else target
        peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(target), body))


BODIES = {
    "sized": (b"Content-Length: 5\r\n\r\nhello", b"hello"),
    "large": (b"Content-Length: %d\r\n\r\n" % LARGE + b"b" * LARGE, b"b" * LARGE),
    "chunked": (b"Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n", b"hello"),
    "until the close": (b"Connection: close\r\n\r\nhello", b"hello"),
}


@pytest.mark.parametrize("framing", BODIES)
def test_the_fields_of_a_backend_are_changed(site: Site, framing: str) -> None:
    rest, body = BODIES[framing]
    fields = b"X-Site: theirs\r\nX-Powered-By: PHP\r\nVary: Accept\r\nx-powered-by: b\r\n"
    site.backend.begin(replying(b"HTTP/1.1 200 OK\r\n" + fields + rest))
    with site.connect() as client:
        client.send(get("/x"))
        answer = client.answer()
    check(answer, 200, b"/x")
    assert (answer["Vary"], answer.body) == (b"Accept, Cookie", body)


def test_equal_answers_of_a_backend_are_changed_each_for_itself(site: Site) -> None:
    """Their heads are remembered; a request's own value is not."""
    with site.connect() as client:
        for target in ("/a", "/b", "/a"):
            client.send(get(target))
            check(client.answer(), 200, target.encode())


def test_a_repeated_poll(site: Site) -> None:
    request = get("/progress?X-Progress-ID=a")
    with site.connect() as client:
        answers = []
        for _ in range(3):
            client.send(request)
            answers.append(client.answer())
    check(answers[0], 200, b"/progress")
    for answer in answers[1:]:
        assert sorted(answer.lines) == sorted(answers[0].lines)
        assert answer.body == answers[0].body


def test_a_stream(site: Site) -> None:
    with site.connect() as client:
        client.send(get("/events?X-Progress-ID=a"))
        assert client.socket.recv(15) == b"HTTP/1.1 200 OK"
        while b"\r\n\r\n" not in client.buffer:
            assert client._receive()
    assert b"\r\nX-Site: a\r\n" in client.buffer


def test_another_protocol(site: Site) -> None:
    def switch(peer: Peer) -> None:
        peer.request()
        peer.send(b"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\n")
        peer.send(b"Upgrade: websocket\r\nX-Powered-By: PHP\r\n\r\n")
        peer.read_on()

    site.backend.begin(switch)
    with site.connect() as client:
        client.send(get("/x", "GET", "Connection: upgrade", "Upgrade: websocket"))
        answer = client.answer()
    check(answer, 101, b"/x")
    assert answer["Upgrade"] == b"websocket"


@pytest.mark.parametrize("feed", FEEDS)
def test_no_request_adds_a_line_to_an_answer(site: Site, feed: str) -> None:
    with site.connect() as client:
        client.send(get("/%0d%0aSet-Cookie:%20a=b%0A%0d%0a%0d%0aHTTP/1.1"), feed)
        answer = client.answer()
        check(answer, 200, b"/%0D%0ASet-Cookie: a=b%0A%0D%0A%0D%0AHTTP/1.1")
        assert answer["Set-Cookie"] is None
        if feed == "with trailing data":
            check(client.answer(), 200, b"/trailing")


@pytest.mark.parametrize("feed", FEEDS)
def test_what_a_backend_gets(site: Site, feed: str) -> None:
    """The other way, too: nothing ends the line, or the request."""
    fields = ["Cookie: a", "X_User: evil", "Connection: x-user, cookie", "Content-Length: 3"]
    with site.connect() as client:
        client.send(get("/as/b/ann%20x", "POST", *fields) + b"abc", feed)
        assert client.answer().status == 200
        if feed == "with trailing data":
            assert client.answer().status == 200
    first = site.backend.requests[0]
    assert first.payload == b"abc"
    assert first.lines == [
        b"POST /as/b/ann%20x HTTP/1.1",
        b"Content-Length: 3",
        b"Host: b.internal:8080",
        b"X-User: ann x",
    ]
    assert b"\r\nX-Forwarded-Host: A\r\n" in first.head
    assert b'host="A"' in first.head
    assert len(site.backend.requests) == (2 if feed == "with trailing data" else 1)


def test_no_request_adds_a_line_to_a_request(site: Site) -> None:
    with site.connect() as client:
        client.send(get("/as/b/%0d%0aX-Admin:%20yes%0d%0a%0d%0aGET%20/evil"))
        assert client.answer().status == 200
    assert site.backend.raw.count(b"\r\n\r\n") == 1
    assert b"X-User: %0D%0AX-Admin: yes%0D%0A%0D%0AGET /evil\r\n" in site.backend.raw


def test_a_host_that_is_none_is_refused(site: Site) -> None:
    with site.connect() as client:
        client.send(get("/as/a%20b/x") + TRAILING)
        check(client.answer(), 400, b"/as/a b/x")
        check(client.answer(), 200, b"/trailing")


def test_a_spliced_upload_keeps_its_framing(site: Site) -> None:
    site.backend.begin(answer_each)
    with site.connect() as client:
        client.send(get("/as/b/ann", "POST", f"Content-Length: {LARGE}") + b"c" * LARGE)
        check(client.answer(), 200, b"/as/b/ann")
    assert site.backend.requests[0].payload == b"c" * LARGE
