"""Rewritten targets, as a real backend, the files on disk and the access log get them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import NamedTuple

import bcrypt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.gateway import configured
from tests.gateway.backend import Backend, Peer
from tests.gateway.running import Gateway, eventually
from tests.gateway.wire import FEEDS, Client

SITE = r"""
setup accesslog "LOG";
rewrite [
	"^/progress/(.+)$" => "/progress?X-Progress-ID=$1",
	"(.*)/x-progress-id:(\w*)$" => "$1?X-Progress-ID=$2",
	"(?s)^/app/(.*)$" => "/index.php/$1?path=$1&%{req.query}",
	"(?s)^/files(.*)$" => "/public$1",
];
if req.path =^ "/in/" {
	rewrite "^/in(.*)$" => "$1/once";
	header.add "X-Once" => "%{req.path}";
	req_header.append "X-Twice" => "2";
	auth.basic "PASSWORDS";
}
if req.path =^ "/raw/" { rewrite_raw "(?s)^/raw(.*)$" => "$1"; }
if req.path == "/progress" { progress.show; }
else if req.path =^ "/public/" { docroot "DOCROOT"; static; }
else { progress.track; proxy "BACKEND"; }
"""

ID = "0123456789abcdef"


class Site(NamedTuple):
    gateway: Gateway
    backend: Backend
    log: Path

    def connect(self) -> Client:
        return Client(self.gateway.port)


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    directory = tmp_path_factory.mktemp("rewrite")
    log, docroot = directory / "access.log", directory / "www"
    (docroot / "public").mkdir(parents=True)
    (docroot / "public" / "a b").write_text("public")
    (docroot / "secret").write_text("content of secret")
    (directory / "above").write_text("content of above")
    hashed = bcrypt.hashpw(b"secret", bcrypt.gensalt(4, b"2a")).replace(b"$2a$", b"$2y$")
    (directory / "passwords").write_bytes(b"ann:%b\n" % hashed)
    with ExitStack() as cleanup:
        backend = Backend()
        cleanup.callback(backend.close)
        text = SITE.replace("BACKEND", backend.address).replace("LOG", str(log))
        text = text.replace("PASSWORDS", str(directory / "passwords"))
        gateway = configured.start(directory, text.replace("DOCROOT", str(docroot)))
        cleanup.callback(gateway.stop)
        yield Site(gateway, backend, log)


@pytest.fixture
def site(shared: Site) -> Site:
    shared.backend.begin()
    return shared


def post(target: str, body: bytes = b"") -> bytes:
    head = f"POST {target} HTTP/1.1\r\nHost: a\r\nContent-Length: {len(body)}\r\n\r\n"
    return head.encode() + body


@pytest.mark.parametrize("feed", FEEDS)
@pytest.mark.parametrize(
    ("asked", "reached"),
    [
        ("/a?b", b"/a?b"),
        ("/app/x?y=%20", b"/index.php/x?path=x&y=%20"),
        ("/app/a%26b=c", b"/index.php/a&b=c?path=a%26b%3Dc&"),
        (f"/node/add/x-progress-id:{ID}", f"/node/add?X-Progress-ID={ID}".encode()),
        ("/raw/%2F%20/x?y", b"/%2F%20/x?y"),
    ],
)
def test_what_a_backend_gets(site: Site, asked: str, reached: bytes, feed: str) -> None:
    with site.connect() as client:
        client.send(post(asked, b"body"), feed)
        assert client.answer().body == reached
        if feed == "with trailing data":
            assert client.answer().body == b"/trailing"
    assert site.backend.requests[0].head.startswith(b"POST %b HTTP/1.1\r\nHost: a\r\n" % reached)
    assert site.backend.requests[0].payload == b"body"


PARTS = st.sampled_from(
    ["%0d%0a", "%0A", "%20", "%2e%2e", "%2F", "..", "/", "a", "%", "%25", "%ff", "HTTP/1.1", ":"]
)


@pytest.mark.parametrize("prefix", ["/app/", "/raw/", "/x-progress-id:"])
def test_no_target_brings_another_line_or_request(site: Site, prefix: str) -> None:
    """The backend's own strict parser sees exactly the requests that were sent."""
    sent = 0

    with site.connect() as client:

        @given(st.lists(PARTS).map("".join))
        def check(text: str) -> None:
            nonlocal sent
            client.send(post(f"{prefix}{text}?{text}", b"body"))
            assert client.answer().status == 200
            sent += 1

        check()
    assert sent == len(site.backend.requests)
    for request in site.backend.requests:
        assert request.payload == b"body"
        assert re.match(rb"POST /[!-~]* HTTP/1.1\r\nHost: a\r\n", request.head)
    assert site.backend.raw.count(b"\r\n\r\n") == sent


def test_a_file_below_the_docroot(site: Site) -> None:
    assert site.gateway.request("GET", "/files/a%20b").body == b"public"


@pytest.mark.parametrize(
    "asked",
    [
        "/files/../secret",
        "/files/%2e%2e/secret",
        "/files%2f..%2fsecret",
        "/files..%2fsecret",
        "/files/..%2fsecret",
        "/files/x/../../../above",
        "/raw/public/../secret",
        "/raw/public/..%2fsecret",
        "/raw/x/..%2f..%2fraw/public/..%2f..%2fabove",
        "/raw/../raw//public/../../above",
    ],
)
def test_no_path_leads_out_of_the_docroot(site: Site, asked: str) -> None:
    with site.connect() as client:
        client.send(f"GET {asked} HTTP/1.1\r\nHost: a\r\n\r\n".encode())
        assert b"content of" not in client.answer().body


def test_actions_that_run_again_rewrite_once(site: Site) -> None:
    """They run a second time when a password was checked, which takes a thread a while."""
    fields = "Host: a\r\nX-Twice: 1\r\nAuthorization: Basic YW5uOnNlY3JldA==\r\n"
    with site.connect() as client:
        for _ in range(2):
            client.send(f"GET /in/x HTTP/1.1\r\n{fields}\r\n".encode())
            answer = client.answer()
            assert (answer.status, answer.body, answer["X-Once"]) == (200, b"/x/once", b"/x/once")
    assert all(b"X-Twice: 1, 2" in request.lines for request in site.backend.requests)


def test_the_progress_of_an_id_that_came_in_the_path(site: Site) -> None:
    """The pages of Drupal need no change: their id is in the path, and their poll asks with it."""

    def answer(peer: Peer) -> None:
        peer.request()
        peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")

    site.backend.begin(answer)
    with site.connect() as client:
        client.send(post(f"/node/add/x-progress-id:{ID}", b"0123456789")[:-5])
        for path in (f"/progress?X-Progress-ID={ID}", f"/progress/{ID}"):
            eventually(lambda: site.gateway.request("GET", path).json().get("received") == 5)  # noqa: B023
        client.send(b"56789")
        assert client.answer().status == 200
    eventually(lambda: site.gateway.show(ID)["state"] == "done")


def test_the_access_log_has_what_was_asked_for_and_no_whole_id(site: Site) -> None:
    secret = "fedcba9876543210"
    encoded = "%66%65dcba9876543210"
    for target in (
        f"/logged/x-progress-id:{secret}",
        f"/progress/{secret}",
        f"/progress/{encoded}",
    ):
        site.gateway.request("GET", target)
    eventually(lambda: "/progress/%66%65dc... " in site.log.read_text())
    logged = site.log.read_text()
    assert secret not in logged
    assert encoded not in logged
    assert '"GET /logged/x-progress-id:fedcba98... HTTP/1.1" 200' in logged
    assert '"GET /progress/fedcba98... HTTP/1.1" 200' in logged
