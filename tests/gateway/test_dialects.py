"""The dialects beside the modules themselves: Debian's nginx and Apache get the same requests."""

from __future__ import annotations

import http.client
import re
import socket
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import NamedTuple

import pytest

from tests.gateway import peers
from tests.gateway.origin import Origin
from tests.gateway.running import eventually

#: Seconds that a test waits, for three servers on a busy machine.
PATIENCE = 30.0

#: The shapes of each module, by the paths that answer in them.
SHAPES = {
    "nginx": ("/nginx", "/nginx.json", "/nginx.java", "/nginx.jsonp"),
    "apache": ("/apache",),
}

CALLBACKS = ("", "&callback=jQuery3_17&_=18", "&callback=my.cb$1")

#: What differs from one moment to the next.
NUMBERS = re.compile(rb'("(?:speed|started_at|completed_at|eta)": )\d+')


class Said(NamedTuple):
    """An answer, as far as a client of the module looks at it."""

    status: int
    fields: dict[str, str | None]
    body: bytes


class Server(NamedTuple):
    """A server that reports in the dialect of a module."""

    module: str
    port: int

    def request(self, method: str, target: str, body: object = None, **fields: str) -> Said:
        """Ask; a field ``x_progress_id`` is a header. A body that is an iterator is chunked."""
        client = http.client.HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE)
        headers = {name.replace("_", "-"): value for name, value in fields.items()}
        client.request(method, target, body, headers)  # type: ignore[arg-type]
        answer = client.getresponse()
        names = ("Content-Type", "Expires", "Cache-Control")
        said = Said(
            answer.status,
            {name: answer.getheader(name) for name in names},
            NUMBERS.sub(rb"\1N", answer.read()),
        )
        client.close()
        return said

    def all(self, identifier: str) -> list[Said]:
        """Return what is said of a transfer in each shape, with and without a callback."""
        return [
            self.request("GET", f"{path}?X-Progress-ID={identifier}{callback}")
            for path in SHAPES[self.module]
            for callback in CALLBACKS
        ]

    def says(self, identifier: str, text: bytes) -> Callable[[], bool]:
        """Return whether a text is in the JSON about a transfer, to be asked again and again."""
        target = f"{SHAPES[self.module][:2][-1]}?X-Progress-ID={identifier}"
        return lambda: text in self.request("GET", target).body

    @contextmanager
    def upload(self, identifier: str, size: int) -> Iterator[socket.socket]:
        """Begin an upload that the backend answers once its gate is open."""
        with socket.create_connection(("127.0.0.1", self.port), PATIENCE) as client:
            head = f"POST /gate?X-Progress-ID={identifier} HTTP/1.1\r\nHost: x\r\n"
            client.sendall(f"{head}Content-Length: {size}\r\n\r\n".encode())
            if self.module == "nginx":  # it does not count what comes together with the head
                eventually(self.says(identifier, b"uploading"), PATIENCE)
            yield client


@pytest.fixture(scope="module")
def origin() -> Iterator[Origin]:
    server = Origin()
    yield server
    server.stop()


@pytest.fixture(scope="module")
def ports(origin: Origin, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, int]]:
    """All three servers, by their names."""
    with ExitStack() as stack:
        yield {
            start.__name__: stack.enter_context(
                start(origin.address, tmp_path_factory.mktemp(start.__name__))
            )
            for start in (peers.nginx, peers.apache, peers.gateway)
        }


@pytest.fixture(params=[*SHAPES])
def pair(request: pytest.FixtureRequest, ports: dict[str, int]) -> tuple[Server, Server]:
    """A module, and the gateway in its dialect."""
    return Server(request.param, ports[request.param]), Server(request.param, ports["gateway"])


@pytest.fixture
def nginx(ports: dict[str, int]) -> tuple[Server, Server]:
    return Server("nginx", ports["nginx"]), Server("nginx", ports["gateway"])


@pytest.fixture
def apache(ports: dict[str, int]) -> tuple[Server, Server]:
    return Server("apache", ports["apache"]), Server("apache", ports["gateway"])


@pytest.fixture
def gate(origin: Origin) -> Iterator[Callable[[], None]]:
    """Let the backend answer what waits."""
    origin.open.clear()
    yield origin.open.set
    origin.open.set()


def test_what_nobody_sends_is_starting(pair: tuple[Server, Server]) -> None:
    theirs, ours = pair
    assert ours.all("nobody-sends-it") == theirs.all("nobody-sends-it")
    assert b"starting" in ours.all("nobody-sends-it")[0].body


def test_an_upload_through_nginx(nginx: tuple[Server, Server], gate: Callable[[], None]) -> None:
    told = []
    with ExitStack() as stack:
        clients = [stack.enter_context(each.upload("upload", 200)) for each in nginx]
        for server, client in zip(nginx, clients, strict=True):
            client.sendall(b"x" * 50)
            eventually(server.says("upload", b'"received" : 50, "size" : 200'), PATIENCE)
            told.append(server.all("upload"))
        for server, client in zip(nginx, clients, strict=True):
            client.sendall(b"x" * 150)
            eventually(server.says("upload", b'"received" : 200, "size" : 200'), PATIENCE)
            told.append(server.all("upload"))
        gate()
        for server in nginx:
            eventually(server.says("upload", b"done"), PATIENCE)
            told.append(server.all("upload"))
    theirs, ours = told[::2], told[1::2]
    assert ours == theirs


def test_an_upload_through_apache(apache: tuple[Server, Server], gate: Callable[[], None]) -> None:
    """Apache looks twice a second at the most, and only when something has come."""
    told = []
    with ExitStack() as stack:
        for server in apache:
            client = stack.enter_context(server.upload("an-upload", 200_000))
            progresses = server.says("an-upload", b"uploading")
            while not progresses():
                client.sendall(b"x" * 9)
            said = server.all("an-upload")
            told.append([re.sub(rb'"received": \d+', b"", each.body) for each in said])
        gate()
    theirs, ours = told
    assert ours == theirs


@pytest.mark.parametrize("status", [200, 204, 302, 404, 413, 500, 503])
def test_how_an_upload_ended(pair: tuple[Server, Server], status: int) -> None:
    told = []
    for server in pair:
        identifier = f"answered-{status}"
        server.request("POST", f"/status/{status}?X-Progress-ID={identifier}", b"x" * 2000)
        word = b"error" if status >= 400 else b"done"
        eventually(server.says(identifier, word), PATIENCE)
        told.append(server.all(identifier))
    theirs, ours = told
    assert ours == theirs


@pytest.mark.parametrize("size", [0, 1])
def test_the_smallest_uploads(pair: tuple[Server, Server], size: int) -> None:
    told = []
    for server in pair:
        server.request("POST", f"/status/200?X-Progress-ID=smallest-{size}", b"x" * size)
        eventually(server.says(f"smallest-{size}", b"done"), PATIENCE)
        told.append(server.all(f"smallest-{size}"))
    theirs, ours = told
    assert ours == theirs


def test_a_client_that_leaves(pair: tuple[Server, Server], gate: Callable[[], None]) -> None:
    told = []
    for server in pair:
        with server.upload("who-leaves", 200_000) as client:
            client.sendall(b"x" * 50_000)
        eventually(server.says("who-leaves", b"error"), PATIENCE)
        told.append(server.all("who-leaves"))
    theirs, ours = told
    assert ours == theirs


def test_an_id_in_the_header(pair: tuple[Server, Server]) -> None:
    told = []
    for server in pair:
        server.request("POST", "/status/404", b"x", x_progress_id="in-the-header")
        eventually(server.says("in-the-header", b"404"), PATIENCE)
        path = SHAPES[server.module][0]
        told.append(server.request("GET", path, X_Progress_Id="in-the-header"))
        told.append(server.request("GET", f"{path}?x-progress-id=in-the-header"))
    assert told[:2] == told[2:]


def test_another_method_is_not_tracked(nginx: tuple[Server, Server]) -> None:
    told = []
    for server in nginx:
        server.request("PUT", "/status/404?X-Progress-ID=another", b"x")
        told.append(server.all("another"))
    theirs, ours = told
    assert ours == theirs


def test_a_head_request(pair: tuple[Server, Server]) -> None:
    theirs, ours = (
        each.request("HEAD", f"{SHAPES[each.module][0]}?X-Progress-ID=for-its-head")
        for each in pair
    )
    assert ours == theirs


# Where ours differs, as docs/dialects.md has it.


def test_the_count_of_a_chunked_body(
    nginx: tuple[Server, Server], gate: Callable[[], None]
) -> None:
    told = []
    for server in nginx:
        with socket.create_connection(("127.0.0.1", server.port), PATIENCE) as client:
            head = b"POST /gate?X-Progress-ID=chunked HTTP/1.1\r\nHost: x\r\n"
            client.sendall(head + b"Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n")
            eventually(server.says("chunked", b'"size" : -1'), PATIENCE)
            if server is nginx[1]:
                eventually(server.says("chunked", b'"received" : 5'), PATIENCE)
            told += server.all("chunked")
    middle = len(told) // 2
    for theirs, ours in zip(told[:middle], told[middle:], strict=True):
        assert re.search(rb"""['"]received['"] : -1""", theirs.body)
        assert re.sub(rb" : -1(?=, )", b" : 5", theirs.body) == ours.body


@pytest.mark.parametrize("callback", ["my.cb$[0]<x>", "alert(1)//", "a%28b"])
def test_what_a_browser_would_run(pair: tuple[Server, Server], callback: str) -> None:
    path = SHAPES[pair[0].module][0]
    target = f"{path}?X-Progress-ID=anything&callback={callback}"
    theirs, ours = (each.request("GET", target) for each in pair)
    assert (theirs.status, ours.status) == (200 if path == "/nginx" else 400, 400)


@pytest.mark.parametrize("query", ["", "?X-Progress-ID="])
def test_a_question_without_an_id(pair: tuple[Server, Server], query: str) -> None:
    theirs, ours = (each.request("GET", SHAPES[each.module][0] + query).status for each in pair)
    assert theirs in (200, 400, 404)
    assert ours == 400
