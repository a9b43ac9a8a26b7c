import contextlib
import hashlib
import io
import json
import logging
import sys
import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from wsgiref.util import FileWrapper
from wsgiref.validate import validator

import pytest
from flask import Flask, Response, request, send_file
from werkzeug.test import Client

from mod_progress.middleware import TRACKED
from mod_progress.options import OptionError
from mod_progress.show.answer import NO_IDENTIFIER
from mod_progress.stores.memory import MemoryStore
from mod_progress.transfer import Snapshot
from mod_progress.wsgi import Application, Environ, ProgressMiddleware, StartResponse, Write

#: What lets one look at the transfer of the id own~secret.
SHARED = "see~" + hashlib.sha256(b"secret").hexdigest()

Answer = dict[str, Any]
Headers = Iterable[tuple[str, str]]


def environ(
    body: bytes = b"",
    method: str = "POST",
    path: str = "/upload",
    query: str = "X-Progress-ID=id",
    **members: Any,
) -> Environ:
    """A request as a server tells it; its id is ``id``."""
    return {
        "REQUEST_METHOD": method,
        "SCRIPT_NAME": "",
        "PATH_INFO": path,
        "QUERY_STRING": query,
        "SERVER_NAME": "app",
        "SERVER_PORT": "80",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "CONTENT_LENGTH": str(len(body)),
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": "http",
        "wsgi.input": io.BytesIO(body),
        "wsgi.errors": io.StringIO(),
        "wsgi.multithread": True,
        "wsgi.multiprocess": False,
        "wsgi.run_once": False,
        "wsgi.file_wrapper": FileWrapper,
        **members,
    }


class Server:
    """The other side: it keeps the response."""

    def __init__(self) -> None:
        self.status = ""
        self.written = b""

    def start_response(self, status: str, headers: Headers, exc_info: Any = None) -> Write:
        self.status = status
        self.headers = headers
        self.exc_info = exc_info
        return self.write

    def write(self, data: bytes) -> None:
        self.written += data

    def serve(self, app: Application, environ: Environ) -> None:
        result: Any = app(environ, self.start_response)
        try:
            for chunk in result:
                self.write(chunk)
        finally:
            if hasattr(result, "close"):
                result.close()


def serve(app: Application, request: Environ, **parameters: Any) -> tuple[Answer, Server]:
    """Run one request; return what a show tells afterwards, and the server."""
    middleware = ProgressMiddleware(app, store="memory", **parameters)
    server = Server()
    with contextlib.suppress(RuntimeError, SystemExit):
        server.serve(middleware, request)
    return show(middleware), server


def show(middleware: ProgressMiddleware) -> Answer:
    server = Server()
    server.serve(validator(middleware), environ(method="GET", path="/progress"))
    assert server.status == "200 OK"
    answer: Answer = json.loads(server.written)
    return answer


def app_of(
    *chunks: bytes, status: str = "200 OK", headers: Headers = (), reads: bool = True
) -> Application:
    """An app that reads the whole body, or not, and answers with these chunks."""

    def app(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        if reads:
            environ["wsgi.input"].read()
        start_response(status, list(headers))
        return chunks

    return app


def told(
    state: str,
    received: int = 0,
    sent: int = 0,
    request_size: int | None = 0,
    response_size: int | None = None,
) -> Answer:
    response_size = sent if response_size is None else response_size
    return {
        "state": state,
        "received": received,
        "sent": sent,
        "request_size": request_size,
        "response_size": response_size,
    }


def error(status: int) -> Answer:
    return {"state": "error", "status": status}


@pytest.mark.parametrize(
    ("app", "expected"),
    [
        (app_of(b"ok"), told("done", 6, 2, 6)),
        (app_of(b"a", b"", b"b"), told("done", 6, 2, 6)),
        (app_of(), told("done", 6, 0, 6)),
        (app_of(b"early", reads=False), told("done", 0, 5, 6)),
        (app_of(b"ab", headers=[("Content-Length", "2")]), told("done", 6, 2, 6)),
        (app_of(status="303 See Other"), told("done", 6, 0, 6)),
        (app_of(b"no", status="413 Content Too Large"), error(413)),
        (app_of(status="204 No Content", headers=[("Content-Length", "5")]), told("done", 6, 0, 6)),
        (app_of(b"x", status="304 Not Modified"), told("done", 6, 0, 6)),
    ],
)
def test_how_a_transfer_ends(app: Application, expected: Answer | None) -> None:
    assert serve(app, environ(b"abcdef"))[0] == expected


def test_head_has_no_body() -> None:
    app = app_of(b"x" * 1000, headers=[("Content-Length", "1000")])
    assert serve(app, environ(method="HEAD"), methods=["HEAD"])[0] == told("done")


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
    assert answer == told("done", 0, 5)
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
    assert show(middleware) == (expected or told("done", 0, 4))


def test_a_server_that_asks_for_no_chunk_where_there_is_no_body() -> None:
    middleware = ProgressMiddleware(app_of(status="204 No Content"), store="memory")
    result: Any = middleware(environ(), Server().start_response)
    result.close()
    assert show(middleware) == told("done")


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
    assert answer == told("done", len(LINES), 0, len(LINES))


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

    assert serve(app, environ(b"abc"))[0] == told("done", 0, 0, 3)


@pytest.mark.parametrize("version", ["HTTP/1.1", "HTTP/2"])
def test_a_request_that_announces_no_body(version: str) -> None:
    request = environ(SERVER_PROTOCOL=version)
    del request["CONTENT_LENGTH"]
    answer, _ = serve(app_of(reads=False), request)
    assert answer == told("done", request_size=0 if version == "HTTP/1.1" else None)


class Broken(io.BytesIO):
    def read(self, *size: Any) -> bytes:
        raise RuntimeError("the connection was reset")


@pytest.mark.parametrize("body", [io.BytesIO(b"abc"), Broken()])
def test_a_client_that_leaves_while_it_sends(body: io.BytesIO) -> None:
    request = {**environ(b"abcdef"), "wsgi.input": body}
    assert serve(app_of(b"ok"), request)[0] == error(0)


@pytest.mark.parametrize(
    "request_",
    [
        environ(method="GET"),
        environ(query=""),
        environ(path="/other"),
        environ(query="X-Progress-ID=a%20b"),
    ],
)
def test_an_untracked_request_passes_untouched(request_: Environ) -> None:
    calls = []
    result: list[bytes] = []

    def app(*arguments: Any) -> Iterable[bytes]:
        calls.append(arguments)
        return result

    before = dict(request_)
    start_response = Server().start_response
    middleware = ProgressMiddleware(app, store="memory", track="/upload")
    assert middleware(request_, start_response) is result
    assert calls == [(request_, start_response)]
    assert request_ == before


def test_debug_says_why_not(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, "mod_progress")
    serve(app_of(), environ(query=""), debug=True)
    assert "not tracked: no X-Progress-ID in the query or the headers" in caplog.text


def test_a_request_is_tracked_once(caplog: pytest.LogCaptureFixture) -> None:
    inner = ProgressMiddleware(app_of(b"ok"), store="memory")
    request = environ()
    assert serve(inner, request)[0] == told("done", 0, 2)
    assert TRACKED in request
    assert show(inner) == {"state": "unknown"}
    assert "ProgressMiddleware is there twice" in caplog.text


def test_the_header_carries_the_id_too() -> None:
    request = environ(query="", HTTP_X_PROGRESS_ID="id")
    assert serve(app_of(b"ok"), request)[0] == told("done", 0, 2)


@pytest.mark.parametrize("identifier", ["own~secret", SHARED])
def test_either_form_of_an_id_shows_and_one_tracks(identifier: str) -> None:
    app = ProgressMiddleware(app_of(b"ok"), store="memory")
    for sent, length in (("own~secret", 7), (SHARED, 8)):
        Server().serve(app, environ(bytes(length), query=f"X-Progress-ID={sent}"))
    response = Client(app).get(f"/progress?X-Progress-ID={identifier}")
    assert response.json is not None
    assert response.json["request_size"] == 7


@pytest.mark.parametrize(
    ("name", "value"), [("ttl", -1), ("methods", ["PSOT"]), ("debug", 1), ("show", "x")]
)
def test_a_wrong_option_is_named(name: str, value: Any) -> None:
    with pytest.raises(OptionError, match=f"^{name}: "):
        ProgressMiddleware(app_of(), **{name: value})


def test_uwsgi_without_threads_is_warned_of(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    for has_threads in (1, 0):
        assert not caplog.messages
        monkeypatch.setitem(sys.modules, "uwsgi", SimpleNamespace(has_threads=has_threads))
        ProgressMiddleware(never_starts, store="memory")
    assert "enable-threads" in caplog.text


def test_options_have_names() -> None:
    with pytest.raises(TypeError):
        ProgressMiddleware(app_of(), "/progress")  # type: ignore[call-arg]
    with pytest.raises(TypeError, match="tll"):
        ProgressMiddleware(app_of(), tll=3)  # type: ignore[call-arg]


@pytest.mark.parametrize(
    ("script_name", "path", "status"),
    [
        ("", "/progress", "200 OK"),
        ("/app", "/progress", "200 OK"),
        ("/progress", "", "404 Not Found"),
        # gunicorn takes SCRIPT_NAME off as a string.
        ("/pro", "gress", "200 OK"),
        ("/pro", "s/progress", "404 Not Found"),
    ],
)
def test_paths_are_those_inside_the_app(script_name: str, path: str, status: str) -> None:
    app = ProgressMiddleware(app_of(status="404 Not Found"), store="memory")
    server = Server()
    server.serve(app, environ(method="GET", path=path, SCRIPT_NAME=script_name))
    assert server.status == status


@pytest.mark.parametrize("length", ["9223372036854775808", "1" + "0" * 400, "\xb2", "+3", "x"])
def test_an_impossible_content_length_is_unknown(length: str) -> None:
    shown, _ = serve(app_of(reads=False), environ(CONTENT_LENGTH=length))
    assert shown["request_size"] is None


@pytest.mark.parametrize("status", ["\xb2\xb2\xb2 Odd", "odd", ""])
def test_an_impossible_status_does_not_break_the_response(status: str) -> None:
    shown, server = serve(app_of(b"ok", status=status), environ())
    assert server.written == b"ok"
    assert shown == error(500)


def test_a_query_that_is_not_latin_1_does_not_break_the_request() -> None:
    shown, server = serve(app_of(b"ok"), environ(query="X-Progress-ID=id&name=\u0142"))
    assert server.written == b"ok"
    assert shown["state"] == "done"


def test_the_show_answers_head_with_its_headers_alone() -> None:
    client = Client(ProgressMiddleware(app_of(), store="memory"))
    get, head = (
        client.open("/progress?X-Progress-ID=id", method=method) for method in ("GET", "HEAD")
    )
    assert head.data == b""
    assert head.headers == get.headers
    assert get.content_length == len(get.data)


def test_a_question_without_an_id_gets_a_reason() -> None:
    response = Client(ProgressMiddleware(app_of(), store="memory")).get("/progress")
    assert response.status == "400 Bad Request"
    assert response.data == NO_IDENTIFIER.body


class FarStore(MemoryStore):
    """A store that answers later."""

    def lookup(self, identifier: str) -> Future[Snapshot]:  # type: ignore[override]
        answer: Future[Snapshot] = Future()
        later = threading.Thread(target=answer.set_result, args=(super().lookup(identifier),))
        later.start()
        return answer


def test_a_show_waits_for_a_store_that_is_far() -> None:
    client = Client(ProgressMiddleware(app_of(), store=FarStore()))
    assert client.get("/progress?X-Progress-ID=id").json == {"state": "unknown"}


def test_a_preflight_is_answered() -> None:
    client = Client(ProgressMiddleware(app_of(), store="memory", allow_origins="*"))
    response = client.options("/progress", headers={"Origin": "https://page.example"})
    assert response.status == "204 No Content"
    assert response.headers["Access-Control-Allow-Origin"] == "*"
    assert "Content-Length" not in response.headers


def test_flask_reads_forms_and_sends_files(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"x" * 1_000_000)
    flask = Flask(__name__)

    @flask.post("/form")
    def form() -> str:
        return str(len(request.files["file"].read()))

    @flask.post("/file")
    def file() -> Response:
        return send_file(path)

    client = Client(ProgressMiddleware(flask, store="memory"))
    response = client.post(
        "/form?X-Progress-ID=form", data={"file": (io.BytesIO(b"x" * 5000), "file.bin")}
    )
    assert response.text == "5000"
    answer = client.get("/progress?X-Progress-ID=form").json
    assert answer is not None
    assert answer["received"] == answer["request_size"] == response.request.content_length
    with client.post("/file?X-Progress-ID=file") as download:
        assert download.data == path.read_bytes()
    assert client.get("/progress?X-Progress-ID=file").json == told("done", 0, 1_000_000)
