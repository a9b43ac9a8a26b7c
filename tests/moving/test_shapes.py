"""Sites as public configurations have them: theirs and ours get the same requests."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import http.client
import json
import re
import ssl
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from tests.gateway.running import PATIENCE, eventually
from tests.moving import backends, servers

ID = "0123456789abcdef0123456789abcdef"
SIZE = 200_000
HALF = SIZE // 2

#: What is sent between two polls, where the numbers are not true.
PIECE = 9

#: More than any of the sites takes.
TOO_LARGE = 20 * 1024**3

AUTHORIZED = {"Authorization": f"Basic {base64.b64encode(b'ann:a password').decode()}"}

#: What differs from one moment to the next.
NUMBERS = re.compile(r'("(?:speed|started_at|completed_at|eta)": )\d+')

RECEIVED = re.compile(r'("received" ?: )\d+')


class Ask(NamedTuple):
    """A request beside the upload, and the status that both answer with."""

    target: str
    status: int
    fields: dict[str, str] = {}  # noqa: RUF012
    client: str = "127.0.0.1"


class Refused(NamedTuple):
    """An upload that both refuse with this status."""

    status: int
    size: int = SIZE
    client: str = "127.0.0.1"


class Shape(NamedTuple):
    """How the pages of a site use it."""

    name: str
    upload: str
    progress: str
    #: The header fields of every request.
    fields: dict[str, str] = {"Host": "shop.example"}  # noqa: RUF012
    asked: tuple[Ask, ...] = ()
    refused: tuple[Refused, ...] = ()
    #: Whether their numbers are true while the body comes; docs/dialects.md says where not.
    counts: bool = True
    tls: bool = False

    @property
    def directory(self) -> Path:
        return servers.SHAPES / self.name


BY_QUERY = f"/upload?X-Progress-ID={ID}"
PROGRESS = f"/progress?X-Progress-ID={ID}"

SHAPES = [
    Shape(
        "json-tls",
        f"/files/a?X-Progress-ID={ID}",
        PROGRESS,
        asked=(Ask("/files/a?b=c", 200), Ask("/other", 404)),
        refused=(Refused(413, TOO_LARGE),),
        counts=False,
        tls=True,
    ),
    Shape(
        "fastcgi-path-id",
        f"/node/add/x-progress-id:{ID}?destination=admin",
        f"/progress?X-Progress-ID={ID}",
        asked=(Ask("/some/page?a=b", 200), Ask("/note.txt", 200)),
    ),
    Shape("uwsgi", f"/new?a=b&X-Progress-ID={ID}", f"/upload/progress?X-Progress-ID={ID}"),
    Shape("stored-body", BY_QUERY, PROGRESS, refused=(Refused(413, TOO_LARGE),)),
    Shape(
        "allow-deny",
        BY_QUERY,
        PROGRESS,
        asked=(
            Ask("/upload", 403, client="127.0.0.2"),
            Ask(PROGRESS, 200, client="127.0.0.2"),
            Ask("/upload", 403, client="127.0.0.9"),
            Ask(PROGRESS, 403, client="127.0.0.9"),
        ),
        refused=(Refused(403, client="127.0.0.2"), Refused(413, TOO_LARGE)),
    ),
    Shape(
        "basic-auth",
        BY_QUERY,
        PROGRESS,
        {"Host": "shop.example", **AUTHORIZED},
        (
            Ask("/upload", 401, {"Authorization": ""}),
            Ask(PROGRESS, 401, {"Authorization": ""}),
            Ask("/upload", 401, {"Authorization": "Basic YW5uOndyb25n"}),
        ),
        refused=(Refused(413, TOO_LARGE),),
    ),
    Shape(
        "sub-path",
        f"/app/upload?X-Progress-ID={ID}",
        f"/app/progress?X-Progress-ID={ID}",
        asked=(Ask("/app/", 200), Ask("/app/moved", 302), Ask("/note.txt", 200), Ask("/no", 404)),
        refused=(Refused(413, TOO_LARGE),),
    ),
    Shape(
        "many-sites",
        BY_QUERY,
        PROGRESS,
        asked=(
            Ask("/note.txt", 200, {"Host": "www.shop.example"}),
            Ask("/note.txt", 200, {"Host": "ann.users.example"}),
            Ask("/", 200, {"Host": "ann.users.example"}),
            Ask("/note.txt", 404, {"Host": "other.example"}),
        ),
        refused=(Refused(413, TOO_LARGE),),
    ),
    Shape(
        "nginx-in-front",
        BY_QUERY,
        PROGRESS,
        asked=(Ask("/page?a=b", 200),),
        refused=(Refused(413, TOO_LARGE),),
    ),
    Shape("apache-in-front", BY_QUERY, PROGRESS, asked=(Ask("/page?a=b", 200),), counts=False),
    Shape(
        "apache-proxy",
        BY_QUERY,
        PROGRESS,
        asked=(
            Ask("/page?a=b", 200),
            Ask("/admin/", 200),
            Ask("/admin/", 403, client="127.0.0.2"),
        ),
        counts=False,
    ),
]


class Said(NamedTuple):
    """An answer, as far as a page looks at it; an error's page is each server's own."""

    status: int
    kind: str
    location: str | None
    text: str


class Server(NamedTuple):
    """Theirs or ours, and a client of it."""

    shape: Shape
    port: int

    @contextlib.contextmanager
    def connect(self, client: str = "127.0.0.1") -> Iterator[http.client.HTTPConnection]:
        options: dict[str, Any] = {"timeout": PATIENCE, "source_address": (client, 0)}
        if self.shape.tls:
            trusting = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
            trusting.check_hostname = False
            trusting.verify_mode = ssl.CERT_NONE
            connection: http.client.HTTPConnection = http.client.HTTPSConnection(
                "127.0.0.1", self.port, context=trusting, **options
            )
        else:
            connection = http.client.HTTPConnection("127.0.0.1", self.port, **options)
        try:
            yield connection
        finally:
            connection.close()

    def ask(self, ask: Ask) -> Said:
        with self.connect(ask.client) as connection:
            fields = {**self.shape.fields, **ask.fields}
            connection.request("GET", ask.target, headers=fields)
            return said(connection.getresponse())

    def poll(self, identifier: str = ID) -> str:
        """Ask as most pages do: the id is in the query."""
        return self.ask(Ask(self.shape.progress.replace(ID, identifier), 200)).text

    def polls(self) -> list[Said]:
        """Ask in both ways that pages have: the id in the query, and in the header."""
        path, _, _ = self.shape.progress.partition("?")
        return [
            self.ask(Ask(self.shape.progress, 200)),
            self.ask(Ask(path, 200, {"X-Progress-ID": ID})),
        ]

    @contextlib.contextmanager
    def begin(
        self, identifier: str = ID, size: int = SIZE, client: str = "127.0.0.1"
    ) -> Iterator[http.client.HTTPConnection]:
        """Send the head of an upload, as a page does."""
        with self.connect(client) as connection:
            target = self.shape.upload.replace(ID, identifier)
            connection.putrequest("POST", target, skip_host=True)
            for name, value in self.shape.fields.items():
                connection.putheader(name, value)
            connection.putheader("Content-Length", str(size))
            connection.putheader("Content-Type", "application/octet-stream")
            connection.endheaders()
            yield connection


def said(answer: http.client.HTTPResponse) -> Said:
    text = answer.read().decode()
    if answer.status >= 400:
        return Said(answer.status, "", None, "")
    kind, _, _ = (answer.getheader("Content-Type") or "").partition(";")
    return Said(answer.status, kind, answer.getheader("Location"), NUMBERS.sub(r"\1N", text))


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, str]]:
    """The files of all sites, and what stands for them in the files of the shapes."""
    directory = tmp_path_factory.mktemp("site")
    return directory, servers.make_site(directory)


@pytest.fixture(scope="module", params=SHAPES, ids=lambda shape: shape.name)
def pair(
    request: pytest.FixtureRequest,
    tmp_path_factory: pytest.TempPathFactory,
    site: tuple[Path, dict[str, str]],
) -> Iterator[tuple[Server, Server]]:
    """Both servers with the files of a shape, and one backend behind them."""
    shape: Shape = request.param
    mine, yours = (tmp_path_factory.mktemp(name) for name in ("ours", "theirs"))
    with ExitStack() as stack:
        places = site[1] | stack.enter_context(backend(shape, site[0]))
        theirs = stack.enter_context(servers.theirs(shape.directory, places, yours))
        ours = stack.enter_context(servers.ours(shape.directory, places, mine))
        yield Server(shape, theirs), Server(shape, ours)


@contextlib.contextmanager
def backend(shape: Shape, directory: Path) -> Iterator[dict[str, str]]:
    """Start what is behind the servers; yield its address by the one that the files name."""
    if shape.name == "fastcgi-path-id":
        with backends.php(directory) as address:
            yield {"unix:/run/php/php-fpm.sock": address}
    elif shape.name == "uwsgi":
        with backends.uwsgi(directory) as address:
            yield {"unix:/run/uwsgi/app.sock": address}
    else:
        with backends.http() as address:
            yield {"127.0.0.1:8000": address}


def send_some(server: Server, connection: http.client.HTTPConnection) -> int:
    """Send a part of the body, until a poll tells of it; return its size."""
    if server.shape.counts:
        eventually(lambda: "uploading" in server.poll())
        connection.send(b"x" * HALF)
        eventually(lambda: str(HALF) in server.poll())
        return HALF
    sent = 0
    while not re.search('received" ?: [1-9]', server.poll()):
        connection.send(b"x" * PIECE)
        sent += PIECE
    return sent


def upload(server: Server) -> tuple[list[Said], Said]:
    """Upload as a page of the site does; return what its polls and its upload are answered."""
    told = server.polls()
    with server.begin() as connection:
        sent = send_some(server, connection)
        told += server.polls()
        connection.send(b"x" * (SIZE - sent))
        answer = said(connection.getresponse())
    eventually(lambda: "done" in server.poll())
    told += server.polls()
    if not server.shape.counts:
        told = [each._replace(text=RECEIVED.sub(r"\1N", each.text)) for each in told]
    return told, answer


def test_an_upload(pair: tuple[Server, Server]) -> None:
    theirs, ours = (upload(server) for server in pair)
    assert ours == theirs
    told, answer = ours
    states = [re.findall("starting|uploading|done", each.text) for each in told]
    assert states == [["starting"], ["starting"], ["uploading"], ["uploading"], ["done"], ["done"]]
    assert json.loads(answer.text)["body"] == hashlib.sha256(b"x" * SIZE).hexdigest()


def refuse(server: Server, number: int, refused: Refused) -> str:
    """Upload what is refused; return what a poll says of it."""
    identifier = f"{number:032x}"
    with server.begin(identifier, refused.size, refused.client) as connection:
        assert connection.getresponse().status == refused.status
    eventually(lambda: "error" in server.poll(identifier))
    return server.poll(identifier)


def test_uploads_that_are_refused(pair: tuple[Server, Server]) -> None:
    refused = [*enumerate(pair[0].shape.refused)]
    theirs, ours = ([refuse(server, *each) for each in refused] for server in pair)
    assert ours == theirs


def test_the_other_requests(pair: tuple[Server, Server]) -> None:
    asked = pair[0].shape.asked
    theirs, ours = ([server.ask(each) for each in asked] for server in pair)
    assert ours == theirs
    assert [answer.status for answer in ours] == [each.status for each in asked]
