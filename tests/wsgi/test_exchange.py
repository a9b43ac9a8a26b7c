import contextlib
import gc
import io
import sys
from collections.abc import Iterable, Iterator
from types import SimpleNamespace
from typing import Any

import pytest
from waitress.channel import ClientDisconnected

from mod_progress.wsgi import ProgressMiddleware
from mod_progress.wsgi.exchange import Application, Environ, StartResponse
from tests.answers import Answer, error, progress
from tests.connections import Connection, wait_until
from tests.wsgi.wsgi_server import Server, app_of, environ, serve, show


@pytest.mark.parametrize(
    ("app", "expected"),
    [
        (app_of(b"ok"), progress("done", 6, 2, 6)),
        (app_of(b"a", b"", b"b"), progress("done", 6, 2, 6)),
        (app_of(), progress("done", 6, 0, 6)),
        (app_of(b"early", reads=False), progress("done", 0, 5, 6)),
        (app_of(b"ab", headers=[("Content-Length", "2")]), progress("done", 6, 2, 6)),
        (app_of(status="303 See Other"), progress("done", 6, 0, 6)),
        (app_of(b"no", status="413 Content Too Large"), error(413)),
        (
            app_of(status="204 No Content", headers=[("Content-Length", "5")]),
            progress("done", 6, 0, 6),
        ),
        (app_of(b"x", status="304 Not Modified"), progress("done", 6, 0, 6)),
    ],
)
def test_how_a_transfer_ends(app: Application, expected: Answer | None) -> None:
    assert serve(app, environ(b"abcdef"))[0] == expected


def test_head_has_no_body() -> None:
    app = app_of(b"x" * 1000, headers=[("Content-Length", "1000")])
    assert serve(app, environ(method="HEAD"), methods=["HEAD"])[0] == progress("done")


def fails_at_once(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
    raise RuntimeError


def fails_before_its_first_bytes(
    environ: Environ, start_response: StartResponse
) -> Iterator[bytes]:
    start_response("200 OK", [])
    yield b""
    raise RuntimeError


def fails_in_between(environ: Environ, start_response: StartResponse) -> Iterator[bytes]:
    start_response("200 OK", [])
    yield b"some"
    raise RuntimeError


def never_starts(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
    return []


def is_stopped(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
    raise SystemExit


def is_stopped_in_between(environ: Environ, start_response: StartResponse) -> Iterator[bytes]:
    start_response("200 OK", [])
    yield b"some"
    raise SystemExit


@pytest.mark.parametrize(
    ("app", "status"),
    [
        (fails_at_once, 500),
        (fails_before_its_first_bytes, 500),
        (fails_in_between, 200),
        (never_starts, 500),
        (is_stopped, 0),
        (is_stopped_in_between, 200),
    ],
)
def test_an_app_that_fails(app: Application, status: int) -> None:
    assert serve(app, environ())[0] == error(status)


def test_an_error_page_replaces_what_was_started() -> None:
    def app(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        start_response("200 OK", [])
        try:
            raise RuntimeError
        except RuntimeError as failure:
            start_response("502 Bad Gateway", [], (RuntimeError, failure, None))
        return [b"sorry"]

    answer, server = serve(app, environ())
    assert answer == error(502)
    assert server.status == "502 Bad Gateway"
    assert server.exc_info[0] is RuntimeError


def test_write_counts() -> None:
    def app(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        write = start_response("200 OK", [])
        write(b"abc")
        return [b"de"]

    answer, server = serve(app, environ())
    assert answer == progress("done", 0, 5)
    assert server.written == b"abcde"


class Chunks:
    """A response that counts how often it is closed."""

    closed = 0

    def __iter__(self) -> Iterator[bytes]:
        return iter([b"ab", b"cd"])

    def close(self) -> None:
        self.closed += 1


@pytest.mark.parametrize(("taken", "expected"), [(0, error(0)), (1, error(200)), (3, None)])
def test_a_response_is_closed_once(taken: int, expected: Answer | None) -> None:
    chunks = Chunks()

    def app(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        start_response("200 OK", [])
        return chunks

    middleware = ProgressMiddleware(app, store="memory")
    result: Any = middleware(environ(), Server().start_response)
    for _ in zip(range(taken), result, strict=False):
        pass
    assert chunks.closed == 0
    result.close()
    result.close()
    assert chunks.closed == 1
    assert show(middleware) == (expected or progress("done", 0, 4))


def test_a_server_that_asks_for_no_chunk_where_there_is_no_body() -> None:
    middleware = ProgressMiddleware(app_of(status="204 No Content"), store="memory")
    result: Any = middleware(environ(), Server().start_response)
    result.close()
    assert show(middleware) == progress("done")


def test_done_does_not_wait_for_close() -> None:
    states = []

    class Slow(Chunks):
        def close(self) -> None:
            states.append(show(middleware)["state"])

    def app(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        start_response("200 OK", [])
        return Slow()

    middleware = ProgressMiddleware(app, store="memory")
    Server().serve(middleware, environ())
    assert states == ["done"]


@pytest.mark.parametrize("status", ["\xb2\xb2\xb2 Odd", "odd", ""])
def test_an_impossible_status_does_not_break_the_response(status: str) -> None:
    shown, server = serve(app_of(b"ok", status=status), environ())
    assert server.written == b"ok"
    assert shown == error(500)


def test_a_body_is_counted_up_to_its_content_length() -> None:
    app = app_of(b"x" * 5, b"x" * 999_895, headers=[("Content-Length", "10")])
    assert serve(app, environ())[0] == progress("done", 0, 10, 0)


def test_a_body_that_ends_before_its_content_length_is_cut() -> None:
    app = app_of(b"x" * 5, headers=[("Content-Length", "10")])
    assert serve(app, environ())[0] == error(200)


def test_a_response_is_whole_with_its_content_length_though_the_app_goes_on() -> None:
    states = []

    def app(environ: Environ, start_response: StartResponse) -> Iterator[bytes]:
        start_response("200 OK", [("Content-Length", "2")])
        yield b"ok"
        states.append(show(middleware)["state"])
        raise RuntimeError

    middleware = ProgressMiddleware(app, store="memory")
    with pytest.raises(RuntimeError):
        Server().serve(middleware, environ())
    assert states == ["done"]
    assert show(middleware) == progress("done", 0, 2)


@pytest.mark.parametrize("size", [None, 1, 1 << 20])
def test_a_file_is_read_up_to_its_content_length(size: int | None) -> None:
    """A range of a large file must not read all of it."""
    file = io.BytesIO(bytes(1 << 22))

    def app(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        start_response("206 Partial Content", [("Content-Length", "10")])
        blocks: Iterable[bytes] = environ["wsgi.file_wrapper"](file, *[size] if size else [])
        return blocks

    answer, server = serve(app, environ())
    assert answer == progress("done", 0, 10, 0)
    assert len(server.written) < 1 << 21
    assert file.closed


HEADERS: list[Any] = [
    [("content-length", "2")],
    [("Content-Length", "\xb2")],
    [("Content-Length", 2)],
    [(b"Content-Length", b"2")],
    [("Content-Length",)],
    [None],
    None,
]


@pytest.mark.parametrize("headers", HEADERS, ids=map(repr, HEADERS))
def test_odd_headers_do_not_break_the_response(headers: Any) -> None:
    def app(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        start_response("200 OK", headers)
        return [b"ok"]

    answer, server = serve(app, environ())
    assert answer == progress("done", 0, 2, 0)
    assert server.headers is headers


def test_an_error_page_is_given_by_name_too() -> None:
    def app(environ: Environ, start_response: Any) -> Iterable[bytes]:
        start_response("200 OK", headers=[])
        start_response("503 Busy", headers=[], exc_info=(RuntimeError, RuntimeError(), None))
        return [b"sorry"]

    answer, server = serve(app, environ())
    assert answer == error(503)
    assert server.exc_info[0] is RuntimeError


def test_a_server_without_write() -> None:
    """So is granian's."""
    middleware = ProgressMiddleware(app_of(b"ok"), store="memory")
    result: Any = middleware(environ(), lambda *_: None)  # type: ignore[arg-type]
    assert b"".join(result) == b"ok"
    assert show(middleware) == progress("done", 0, 2)


def test_a_request_without_input() -> None:
    request = environ()
    del request["wsgi.input"]
    assert serve(app_of(b"ok", reads=False), request)[0] == progress("done", 0, 2)


class Disconnected(Server):
    """A server whose client has left."""

    def __init__(self, error: type[Exception]) -> None:
        super().__init__()
        self.error = error

    def write(self, data: bytes) -> None:
        raise self.error


def writes(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
    start_response("200 OK", [])(b"some")
    return []


def writes_and_goes_on(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
    write = start_response("200 OK", [])
    with contextlib.suppress(OSError, ClientDisconnected):
        write(b"some")
    return [b"more"]


@pytest.mark.parametrize("leaves", [BrokenPipeError, ClientDisconnected])
@pytest.mark.parametrize("app", [writes, writes_and_goes_on])
def test_a_client_that_leaves_before_anything_was_sent(
    app: Application, leaves: type[Exception]
) -> None:
    middleware = ProgressMiddleware(app, store="memory")
    with contextlib.suppress(leaves):
        Disconnected(leaves).serve(middleware, environ())
    assert show(middleware) == error(0)


class Misused(Server):
    """A server that refuses what the app writes."""

    def write(self, data: bytes) -> None:
        raise AssertionError("not bytes")


def test_a_server_that_refuses_what_is_written_answers_500() -> None:
    middleware = ProgressMiddleware(writes, store="memory")
    with pytest.raises(AssertionError):
        Misused().serve(middleware, environ())
    assert show(middleware) == error(500)


def addresses(connection: Connection) -> dict[str, Any]:
    """What an environ says of a connection."""
    (own, own_port), (client, client_port) = connection.own, connection.peer
    return {
        "SERVER_NAME": own,
        "SERVER_PORT": str(own_port),
        "REMOTE_ADDR": client,
        "REMOTE_PORT": str(client_port),
    }


def status_of(middleware: ProgressMiddleware) -> int:
    """Wait for the end of a transfer that fails; return its status."""
    answer = wait_until(lambda: (now := show(middleware))["state"] == "error" and now)
    return int(answer["status"])


@pytest.mark.parametrize(("sent", "status"), [(b"", 0), (b"HTTP/1.1 200 OK", 200)])
def test_a_server_that_gives_up_at_the_first_chunk(sent: bytes, status: int) -> None:
    """The status is 0 where nothing of the response was sent."""
    middleware = ProgressMiddleware(app_of(b"x" * 100_000), store="memory")
    with contextlib.closing(Connection()) as connection:
        result: Any = middleware(environ(**addresses(connection)), Server().start_response)
        chunks = iter(result)
        next(chunks)
        connection.server.send(sent)
        result.close()
        assert status_of(middleware) == status


def test_a_server_may_stop_at_the_content_length() -> None:
    app = app_of(b"x" * 100_000, b"more", headers=[("Content-Length", "100000")])
    middleware = ProgressMiddleware(app, store="memory")
    with contextlib.closing(Connection()) as connection:
        result: Any = middleware(environ(**addresses(connection)), Server().start_response)
        chunks = iter(result)
        connection.server.send(next(chunks))
        result.close()
        assert show(middleware)["state"] == "running"
        connection.drain(100_000)
        wait_until(lambda: show(middleware)["state"] == "done")


def test_a_response_that_the_server_forgets_is_cut() -> None:
    middleware = ProgressMiddleware(app_of(b"ok"), store="memory")
    middleware(environ(), Server().start_response)
    gc.collect()
    assert show(middleware) == error(0)


def test_uwsgi_tells_the_descriptor_of_the_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    with contextlib.closing(Connection()) as connection:
        uwsgi = SimpleNamespace(has_threads=1, connection_fd=connection.server.fileno)
        monkeypatch.setitem(sys.modules, "uwsgi", uwsgi)
        middleware = ProgressMiddleware(app_of(b"x" * 100_000), store="memory")
        result: Any = middleware(environ(), Server().start_response)
        assert len(b"".join(result)) == 100_000
        assert show(middleware)["state"] == "running"
        connection.server.send(b"x" * 100_000)
        connection.drain(100_000)
        wait_until(lambda: show(middleware)["state"] == "done")


@pytest.mark.parametrize("descriptor", [-1, "none", 1 << 30])
def test_a_descriptor_that_is_none_does_not_break_the_request(
    descriptor: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    uwsgi = SimpleNamespace(has_threads=1, connection_fd=lambda: descriptor)
    monkeypatch.setitem(sys.modules, "uwsgi", uwsgi)
    assert serve(app_of(b"ok"), environ())[0] == progress("done", 0, 2)
