import hashlib
import io
import logging
import sys
import threading
from collections.abc import Iterable
from concurrent.futures import Future
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from flask import Flask, Response, request, send_file
from werkzeug.test import Client

from mod_progress.middleware import TRACKED
from mod_progress.options import OptionError
from mod_progress.show.answer import NO_IDENTIFIER
from mod_progress.stores.memory import MemoryStore
from mod_progress.transfer import Snapshot
from mod_progress.wsgi import ProgressMiddleware
from mod_progress.wsgi.exchange import Environ
from tests.answers import progress
from tests.wsgi.wsgi_server import Server, app_of, environ, serve, show

#: What lets one look at the transfer of the id own~secret.
SHARED = "see~" + hashlib.sha256(b"secret").hexdigest()


@pytest.mark.parametrize("version", ["HTTP/1.1", "HTTP/2"])
def test_a_request_that_announces_no_body(version: str) -> None:
    request = environ(SERVER_PROTOCOL=version)
    del request["CONTENT_LENGTH"]
    answer, _ = serve(app_of(reads=False), request)
    assert answer == progress("done", request_size=0 if version == "HTTP/1.1" else None)


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
    assert serve(inner, request)[0] == progress("done", 0, 2)
    assert TRACKED in request
    assert show(inner) == {"state": "unknown"}
    assert "ProgressMiddleware is there twice" in caplog.text


def test_the_header_carries_the_id_too() -> None:
    request = environ(query="", HTTP_X_PROGRESS_ID="id")
    assert serve(app_of(b"ok"), request)[0] == progress("done", 0, 2)


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
        ProgressMiddleware(app_of(), store="memory")
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
    assert client.get("/progress?X-Progress-ID=file").json == progress("done", 0, 1_000_000)
