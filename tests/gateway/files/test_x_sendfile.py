"""A backend names a file, and the gateway sends it: for HTTP and for CGI backends alike."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from mod_progress.gateway.actions.flow import ActionList, If
from mod_progress.gateway.actions.tracking import Show, Track
from mod_progress.gateway.backends.actions import Backend as Upstream
from mod_progress.gateway.backends.actions import Proxy
from mod_progress.gateway.backends.http import HttpBackend
from mod_progress.gateway.backends.scgi import ScgiBackend
from mod_progress.gateway.files.x_sendfile import XSendfile
from mod_progress.gateway.server.site import Site
from tests.answers import progress
from tests.gateway.backend import Backend, Peer
from tests.gateway.running import Gateway, Response, eventually

KINDS: dict[str, Callable[[str], Upstream]] = {"http": HttpBackend, "scgi": ScgiBackend}

LARGE = bytes(range(256)) * 2000


class Sender:
    """A gateway, and a backend that answers with the fields that the test wants."""

    def __init__(self, top: Path, kind: str) -> None:
        self.top = top
        self.kind = kind
        self.status = 200
        self.fields: list[str] = []
        self.body = "a body of its own"
        self.backend = Backend(self._answer)
        allowed = XSendfile((str(top / "one"), str(top / "two") + "/"))
        served = ActionList((Track(), Proxy(KINDS[kind](self.backend.address)), allowed))
        is_show = lambda exchange: exchange.request.path == "/progress"  # noqa: E731
        self.gateway = Gateway(Site(action=If(is_show, Show(), served)))

    def _answer(self, peer: Peer) -> None:
        end = "\r\n\r\n" if self.kind == "http" else ","
        peer.take_through(end.encode())
        http = [f"HTTP/1.1 {self.status} x", "Connection: close"]
        first = http if self.kind == "http" else [f"Status: {self.status}"]
        length = f"Content-Length: {len(self.body)}"
        peer.send("\r\n".join([*first, *self.fields, length, "", self.body]).encode())
        peer.end()
        peer.read_on()

    def name(self, file: Path | str, *fields: str) -> None:
        self.fields = [f"X-Sendfile: {file}", *fields]

    def ask(self, method: str = "POST", fields: dict[str, str] | None = None) -> Response:
        return self.gateway.request(method, "/x?X-Progress-ID=i", None, fields)


@pytest.fixture(scope="module")
def top(tmp_path_factory: pytest.TempPathFactory) -> Path:
    top = tmp_path_factory.mktemp("sendfile")
    for name in ("one", "two", "one-more"):
        (top / name).mkdir()
        (top / name / "file.txt").write_text(name)
    (top / "one" / "large.bin").write_bytes(LARGE)
    (top / "one" / "out").symlink_to(top / "one-more" / "file.txt")
    (top / "two" / "in").symlink_to(top / "one" / "file.txt")
    return top


@pytest.fixture(scope="module", params=KINDS)
def shared_sender(request: pytest.FixtureRequest, top: Path) -> Iterator[Sender]:
    sender = Sender(top, request.param)
    yield sender
    sender.gateway.stop()
    sender.backend.close()


@pytest.fixture
def sender(shared_sender: Sender) -> Sender:
    shared_sender.status = 200
    shared_sender.fields = []
    return shared_sender


@pytest.mark.parametrize("name", ["one/file.txt", "two/file.txt", "two/in", "two/../one/file.txt"])
def test_a_file_that_is_named(sender: Sender, top: Path, name: str) -> None:
    sender.name(top / name, "Content-Disposition: attachment", 'ETag: "of its own"')
    answer = sender.ask()
    assert (answer.status, answer.body) == (200, (top / name).read_bytes())
    assert answer.headers["content-type"] == "text/plain; charset=utf-8"
    assert answer.headers["content-disposition"] == "attachment"
    assert answer.headers["etag"] != '"of its own"'
    assert "x-sendfile" not in answer.headers


def test_a_large_file_and_its_media_type(sender: Sender, top: Path) -> None:
    sender.name(top / "one/large.bin", "Content-Type: application/x-own")
    answer = sender.ask()
    assert (answer.body == LARGE, answer.headers["content-type"]) == (True, "application/x-own")
    eventually(lambda: sender.gateway.show("i") == progress("done", sent=len(LARGE)))


def test_parts_of_a_file(sender: Sender, top: Path) -> None:
    sender.name(top / "one/large.bin")
    answer = sender.ask("GET", {"Range": "bytes=1-3"})
    assert (answer.status, answer.body) == (206, LARGE[1:4])
    assert sender.ask("HEAD").headers["content-length"] == str(len(LARGE))
    etag = sender.ask("HEAD").headers["etag"]
    assert sender.gateway.request("GET", "/x", None, {"If-None-Match": etag}).status == 304


@pytest.mark.parametrize(
    ("name", "status"),
    [
        ("{top}/one/missing", 404),
        ("{top}/one", 502),
        ("{top}/one/..", 502),
        ("{top}/one-more/file.txt", 502),
        ("{top}/one/out", 502),
        ("{top}/one/../one-more/file.txt", 502),
        ("one/file.txt", 502),
        ("/etc/hostname", 502),
        ("../../../../../../../../etc/hostname", 502),
    ],
)
def test_a_file_that_is_not_sent(sender: Sender, top: Path, name: str, status: int) -> None:
    sender.name(name.format(top=top))
    answer = sender.ask()
    assert answer.status == status
    assert b"one" not in answer.body
    assert "x-sendfile" not in answer.headers


def test_other_answers_are_as_ever(sender: Sender, top: Path) -> None:
    assert sender.ask().body == b"a body of its own"
    sender.name(top / "one/file.txt")
    sender.status = 404
    assert (sender.ask().status, sender.ask().body) == (404, b"a body of its own")


def test_it_is_off_where_nobody_allowed_it(
    gateway: Callable[..., Gateway], sender: Sender, top: Path
) -> None:
    sender.name(top / "one/file.txt")
    other = gateway(Proxy(KINDS[sender.kind](sender.backend.address)))
    answer = other.request("GET", "/x")
    assert (answer.status, answer.body) == (200, b"a body of its own")
