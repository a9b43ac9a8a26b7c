import io
from collections.abc import Callable, Iterable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mod_progress.delivery.deliveries import Delivery
from mod_progress.transfer import State, Transfer
from mod_progress.wsgi.exchange import Environ, StartResponse
from mod_progress.wsgi.input import BLOCK, Input
from tests.answers import error, progress
from tests.wsgi.wsgi_server import app_of, environ, serve

LINES = b"one\ntwo\nthree"


def read_into(body: Any) -> bytes:
    buffer = bytearray(5)
    parts = []
    while size := body.readinto(buffer):
        parts.append(bytes(buffer[:size]))
    return b"".join(parts)


WAYS_TO_READ = {
    "read": lambda body: body.read(),
    "read(-1)": lambda body: body.read(-1),
    "read(None)": lambda body: body.read(None),
    "read(n)": lambda body: b"".join(iter(lambda: body.read(4), b"")),
    "readline": lambda body: b"".join(iter(body.readline, b"")),
    "readline(n)": lambda body: b"".join(iter(lambda: body.readline(2), b"")),
    "readlines": lambda body: b"".join(body.readlines()),
    "readlines(hint)": lambda body: b"".join(body.readlines(5) + body.readlines()),
    "iteration": lambda body: b"".join(body),
    "readinto": read_into,
    "buffered": lambda body: io.BufferedReader(body).read(),
    "text": lambda body: io.TextIOWrapper(body, newline="").read().encode(),
    "read1": lambda body: b"".join(iter(lambda: body.read1(5), b"")),
    "next": lambda body: b"".join(iter(lambda: next(body, b""), b"")),
}


@pytest.mark.parametrize("read", WAYS_TO_READ.values(), ids=WAYS_TO_READ)
@pytest.mark.parametrize("chunked", [False, True])
def test_every_way_to_read(read: Callable[[Any], bytes], chunked: bool) -> None:
    bodies = []

    def app(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        bodies.append(read(environ["wsgi.input"]))
        start_response("200 OK", [])
        return []

    request = environ(LINES)
    if chunked:
        del request["CONTENT_LENGTH"]
        request["HTTP_TRANSFER_ENCODING"] = "chunked"
    answer, _ = serve(app, request)
    assert bodies == [LINES]
    assert answer == progress("done", len(LINES), 0, len(LINES))


def test_a_hint_ends_readlines_early() -> None:
    lines = []

    def app(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        lines.append(environ["wsgi.input"].readlines(5))
        start_response("200 OK", [])
        return []

    serve(app, environ(LINES))
    assert lines == [[b"one\n", b"two\n"]]


def test_an_empty_read_is_not_the_end() -> None:
    def app(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        environ["wsgi.input"].read(0)
        start_response("200 OK", [])
        return []

    assert serve(app, environ(b"abc"))[0] == progress("done", 0, 0, 3)


class Broken(io.BytesIO):
    def read(self, *size: Any) -> bytes:
        raise RuntimeError("the connection was reset")


@pytest.mark.parametrize("body", [io.BytesIO(b"abc"), Broken()])
def test_a_client_that_leaves_while_it_sends(body: io.BytesIO) -> None:
    request = {**environ(b"abcdef"), "wsgi.input": body}
    assert serve(app_of(b"ok"), request)[0] == error(0)


def track(body: Any, size: int | None) -> tuple[Input, Transfer]:
    """Return the input of a tracked request, and its transfer."""
    transfer = Transfer("id", size)
    return Input(body, transfer, Delivery(transfer, None)), transfer


class Pieces(io.BytesIO):
    """A body that arrives while it is read; it keeps what was counted before each read."""

    def __init__(self, body: bytes) -> None:
        super().__init__(body)
        self.counted: list[int] = []
        self.transfer: Transfer | None = None

    def read(self, size: int | None = -1, /) -> bytes:
        self._note()
        return super().read(size)

    def readline(self, size: int | None = -1, /) -> bytes:
        self._note()
        return super().readline(size)

    def _note(self) -> None:
        assert self.transfer is not None
        self.counted.append(self.transfer.received)


LARGE = 10 * BLOCK + 7

LARGE_READS: dict[str, Callable[[Any], bytes]] = {
    "read": lambda body: body.read(),
    "read(n)": lambda body: body.read(LARGE),
    "read(more)": lambda body: body.read(2 * LARGE),
    "readline": lambda body: body.readline(),
    "readline(n)": lambda body: body.readline(LARGE),
    "readlines": lambda body: b"".join(body.readlines()),
    "iteration": lambda body: b"".join(body),
    "readinto": lambda body: read_all_into(body, bytearray(LARGE)),
    "readinto(memoryview)": lambda body: read_all_into(body, memoryview(bytearray(LARGE))),
}


def read_all_into(body: Any, buffer: bytearray | memoryview) -> bytes:
    assert body.readinto(buffer) == LARGE
    return bytes(buffer)


@pytest.mark.parametrize("read", LARGE_READS.values(), ids=LARGE_READS)
def test_one_large_read_is_counted_as_it_goes_on(read: Callable[[Any], bytes]) -> None:
    content = bytes(LARGE)
    server_side = Pieces(content)
    body, server_side.transfer = track(server_side, LARGE)
    assert read(body) == content
    assert server_side.transfer.received == LARGE
    assert server_side.transfer.state is State.RUNNING
    steps = server_side.counted[:11]
    assert steps == [BLOCK * step for step in range(11)]


class Trickle(io.RawIOBase):
    """A body of which each read returns what there is."""

    def __init__(self, *parts: bytes) -> None:
        self.parts = list(parts)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        data = self.parts.pop(0) if self.parts else b""
        buffer[: len(data)] = data
        return len(data)


def test_a_read_does_not_wait_for_more_than_the_server_gives() -> None:
    body, transfer = track(Trickle(bytes(BLOCK), bytes(5), b"more"), None)
    assert len(body.read(10 * BLOCK)) == BLOCK + 5
    assert transfer.received == BLOCK + 5
    assert body.read(10) == b"more"


def operations() -> st.SearchStrategy[list[tuple[str, int | None]]]:
    sizes = st.one_of(st.none(), st.integers(-1, 30), st.integers(BLOCK - 2, 3 * BLOCK))
    names = st.sampled_from(["read", "readline", "readlines", "next"])
    return st.lists(st.tuples(names, sizes), max_size=8)


def read_by(body: Any, name: str, size: int | None) -> object:
    if name == "next":
        return next(body, None)
    return getattr(body, name)() if size is None else getattr(body, name)(size)


@settings(deadline=None)
@given(st.binary(max_size=50), operations())
def test_it_reads_what_the_server_gives(line: bytes, reads: list[tuple[str, int | None]]) -> None:
    content = (line + b"\n") * (3 * BLOCK // (len(line) + 1))
    expected = io.BytesIO(content)
    body, transfer = track(io.BytesIO(content), len(content))
    for name, size in reads:
        assert read_by(body, name, size) == read_by(expected, name, size)
        assert transfer.received == body.tell() == expected.tell()


def test_a_body_that_is_read_twice_counts_once() -> None:
    body, transfer = track(io.BytesIO(LINES), len(LINES))
    assert body.read(4) == LINES[:4]
    assert body.seek(0) == 0
    assert body.read(2) == LINES[:2]
    assert transfer.received == 4
    body.seek(-2, io.SEEK_CUR)
    assert body.read() == LINES
    assert transfer.received == len(LINES)
    body.seek(0)
    assert body.read() == LINES
    assert transfer.received == len(LINES)


def test_the_size_of_a_body_is_found_by_its_end() -> None:
    body, transfer = track(io.BytesIO(LINES), len(LINES))
    assert body.seek(0, io.SEEK_END) == len(LINES)
    assert transfer.received == 0
    assert body.read() == b""
    assert transfer.received == len(LINES)
    body.seek(0)
    assert body.read() == LINES
    assert transfer.state is State.RUNNING


def test_what_follows_a_body_does_not_count() -> None:
    body, transfer = track(io.BytesIO(LINES + b"GET / HTTP/1.1"), len(LINES))
    body.read()
    assert transfer.received == len(LINES)


def test_it_has_what_the_server_has() -> None:
    body, _ = track(io.BytesIO(LINES), len(LINES))
    assert body.seekable()
    assert body.getvalue() == LINES
    body, _ = track(Minimal(), 0)
    for name in ("seek", "read1", "readall", "tell", "fileno"):
        assert not hasattr(body, name)


class Minimal:
    """An input with what PEP 3333 asks for."""

    def read(self, size: int) -> bytes:
        return b""

    readline = read


def test_a_size_that_is_none_is_the_app_s_fault() -> None:
    body, transfer = track(io.BytesIO(LINES), len(LINES))
    for wrong in ("x", 1.5):
        with pytest.raises(TypeError):
            body.read(wrong)  # type: ignore[arg-type]
    assert transfer.state is State.RUNNING
