import asyncio
import hashlib
import logging
import threading
from concurrent.futures import Future
from pathlib import Path
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.background import BackgroundTask
from starlette.middleware.base import BaseHTTPMiddleware, RequestResponseEndpoint
from starlette.requests import Request
from starlette.responses import FileResponse, PlainTextResponse, Response, StreamingResponse
from starlette.routing import Mount, Route

from mod_progress.asgi import ProgressMiddleware
from mod_progress.asgi.exchange import Scope
from mod_progress.middleware import TRACKED
from mod_progress.options import OptionError
from mod_progress.show.answer import NO_IDENTIFIER
from mod_progress.stores.memory import MemoryStore
from mod_progress.transfer import Snapshot
from tests.answers import progress
from tests.asgi.asgi_server import Server, app_of, ask, body, part, scope, serve, show, start

#: What lets one look at the transfer of the id own~secret.
SHARED = "see~" + hashlib.sha256(b"secret").hexdigest()


def test_done_does_not_wait_for_background_tasks() -> None:
    states = []

    async def background() -> None:
        states.append(await asyncio.to_thread(show, app))

    async def upload(request: Request) -> PlainTextResponse:
        return PlainTextResponse("ok", background=BackgroundTask(background))

    inner = Starlette(routes=[Route("/upload", upload, methods=["POST"])])
    app = ProgressMiddleware(inner, store="memory")
    ask(app, "POST", "/upload?X-Progress-ID=id", content=b"abc")
    assert states[0]["state"] == "done"


@pytest.mark.parametrize("kind", ["websocket", "lifespan"])
def test_only_http_is_touched(kind: str) -> None:
    calls = []

    async def app(*arguments: Any) -> None:
        calls.append(arguments)

    arguments: tuple[Scope, Any, Any] = ({"type": kind, "path": "/progress"}, object(), object())
    asyncio.run(ProgressMiddleware(app, store="memory")(*arguments))
    assert calls == [arguments]


@pytest.mark.parametrize(
    "request_",
    [
        scope("GET"),
        scope(query_string=b""),
        scope(path="/other"),
        scope(query_string=b"X-Progress-ID=a%20b"),
    ],
)
def test_an_untracked_request_passes_untouched(request_: Scope) -> None:
    calls = []

    async def app(*arguments: Any) -> None:
        calls.append(arguments)

    server = Server()
    arguments = (request_, server.receive, server.send)
    asyncio.run(ProgressMiddleware(app, store="memory", track="/upload")(*arguments))
    assert calls == [arguments]
    assert TRACKED not in request_


def test_debug_says_why_not(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, "mod_progress")
    serve(app_of(start(), part()), scope("GET"), debug=True)
    assert "not tracked: the method is GET, tracked: POST" in caplog.text


def test_a_request_is_tracked_once(caplog: pytest.LogCaptureFixture) -> None:
    inner = ProgressMiddleware(app_of(start(), part(b"ok")), store="memory")
    assert serve(inner, scope(), *body(b""))[0] == progress("done", 0, 2)
    assert show(inner) == {"state": "unknown"}
    assert "ProgressMiddleware is there twice" in caplog.text


def test_the_header_carries_the_id_too() -> None:
    request = scope(query_string=b"", headers=[(b"x-progress-id", b"id")])
    assert serve(app_of(start(), part(b"ok")), request, *body(b""))[0] == progress("done", 0, 2)


@pytest.mark.parametrize("identifier", ["own~secret", SHARED])
def test_either_form_of_an_id_shows_and_one_tracks(identifier: str) -> None:
    app = ProgressMiddleware(app_of(start(), part(b"ok")), store="memory")
    for sent, length in (("own~secret", b"7"), (SHARED, b"8")):
        request = scope(query_string=f"X-Progress-ID={sent}".encode())
        request["headers"] = [(b"content-length", length)]
        asyncio.run(app(request, Server(*body(b"")).receive, Server().send))
    assert ask(app, "GET", f"/progress?X-Progress-ID={identifier}").json()["request_size"] == 7


@pytest.mark.parametrize(
    ("name", "value"), [("ttl", -1), ("methods", ["PSOT"]), ("debug", 1), ("show", "x")]
)
def test_a_wrong_option_is_named(name: str, value: Any) -> None:
    with pytest.raises(OptionError, match=f"^{name}: "):
        ProgressMiddleware(app_of(), **{name: value})


def test_options_have_names() -> None:
    with pytest.raises(TypeError):
        ProgressMiddleware(app_of(), "/progress")  # type: ignore[call-arg]
    with pytest.raises(TypeError, match="tll"):
        ProgressMiddleware(app_of(), tll=3)  # type: ignore[call-arg]


async def hello(request: Request) -> PlainTextResponse:
    return PlainTextResponse("hello")


def test_paths_are_those_inside_the_app() -> None:
    app = ProgressMiddleware(Starlette(routes=[Route("/", hello)]), store="memory")
    outer = Starlette(routes=[Mount("/inside", app)])
    assert ask(outer, "GET", "/inside/progress?X-Progress-ID=id").json() == {"state": "unknown"}
    assert ask(outer, "GET", "/inside/").text == "hello"


@pytest.mark.parametrize(
    ("root", "path", "shown"),
    [
        ("", "/progress", True),
        ("/app", "/app/progress", True),
        ("/app/", "/app/progress", True),
        ("/app", "/progress", True),  # a server that leaves the root out of the path
        ("/pro", "/progress", True),
        ("/pro", "/pro/progress", True),
        ("/pro", "/pros/progress", False),
        ("/progress", "/progress", False),
        ("/progress", "/progress/progress", True),
        ("/progres", "/progress/progress", False),
    ],
)
def test_the_root_path_is_taken_off_by_segments(root: str, path: str, shown: bool) -> None:
    app = ProgressMiddleware(app_of(start(404), part()), store="memory")
    server = Server()
    asyncio.run(app(scope("GET", path, root_path=root), server.receive, server.send))
    assert server.sent[0]["status"] == (200 if shown else 404)


@pytest.mark.parametrize(
    ("root", "path", "tracked"),
    [("/up", "/upload", False), ("/up", "/up/load", True), ("/up", "/up", False)],
)
def test_prefixes_to_track_are_those_inside_the_app(root: str, path: str, tracked: bool) -> None:
    request = scope(path=path, root_path=root)
    serve(app_of(start(), part()), request, *body(b""), track="/load")
    assert (TRACKED in request) is tracked


@pytest.mark.parametrize(
    "length", [b"9223372036854775808", b"1" + b"0" * 400, b"\xb2", b"+3", b"x"]
)
def test_an_impossible_content_length_is_unknown(length: bytes) -> None:
    request = scope(headers=[(b"content-length", length)])
    app = ProgressMiddleware(app_of(start(), part(), reads=False), store="memory")
    asyncio.run(app(request, Server().receive, Server().send))
    assert show(app)["request_size"] is None


def test_the_show_answers_head_with_its_headers_alone() -> None:
    app = ProgressMiddleware(app_of(), store="memory")
    get, head = (ask(app, method, "/progress?X-Progress-ID=id") for method in ("GET", "HEAD"))
    assert head.content == b""
    assert head.headers == get.headers
    assert get.headers["content-length"] == str(len(get.content))


def test_a_question_without_an_id_gets_a_reason() -> None:
    response = ask(ProgressMiddleware(app_of(), store="memory"), "GET", "/progress")
    assert response.status_code == 400
    assert response.content == NO_IDENTIFIER.body


class FarStore(MemoryStore):
    """A store that answers later."""

    def lookup(self, identifier: str) -> Future[Snapshot]:  # type: ignore[override]
        answer: Future[Snapshot] = Future()
        later = threading.Thread(target=answer.set_result, args=(super().lookup(identifier),))
        later.start()
        return answer


@pytest.mark.parametrize("runs_on", ["asyncio", "trio"])
def test_a_show_waits_for_a_store_that_is_far(runs_on: str) -> None:
    app = ProgressMiddleware(app_of(), store=FarStore())
    answer = ask(app, "GET", "/progress?X-Progress-ID=id", runs_on=runs_on)
    assert answer.json() == {"state": "unknown"}


def test_a_preflight_is_answered() -> None:
    app = ProgressMiddleware(app_of(), store="memory", allow_origins="*")
    response = ask(app, "OPTIONS", "/progress", headers={"Origin": "https://page.example"})
    assert response.status_code == 204
    assert response.headers["access-control-allow-origin"] == "*"


def test_frameworks_add_it(tmp_path: Path) -> None:
    """Under a middleware that wraps receive and send itself, with streams and files."""
    path = tmp_path / "file"
    path.write_bytes(b"x" * 100_000)

    async def stream(request: Request) -> StreamingResponse:
        size = 0
        async for chunk in request.stream():
            size += len(chunk)
        return StreamingResponse(str(size) for _ in range(3))

    async def file(request: Request) -> FileResponse:
        return FileResponse(path)

    async def pass_on(request: Request, call_next: RequestResponseEndpoint) -> Response:
        return await call_next(request)

    app = Starlette(routes=[Route(f"/{e.__name__}", e, methods=["POST"]) for e in (stream, file)])
    app.add_middleware(BaseHTTPMiddleware, dispatch=pass_on)
    app.add_middleware(ProgressMiddleware, store="memory")
    ask(app, "POST", "/stream?X-Progress-ID=stream", content=b"x" * 1000)
    answer = ask(app, "GET", "/progress?X-Progress-ID=stream").json()
    assert answer == progress("done", 1000, 12, 1000)
    ask(app, "POST", "/file?X-Progress-ID=file")
    assert ask(app, "GET", "/progress?X-Progress-ID=file").json() == progress("done", 0, 100_000)
