import ast
import asyncio
import inspect
import io
import re
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pytest

from mod_progress import asgi, wsgi
from mod_progress.middleware import BaseMiddleware, Track
from mod_progress.options import OptionError
from mod_progress.stores import open_store
from mod_progress.stores.contract import Store
from mod_progress.transfer import State
from tests.gateway.running import eventually


def middleware(**parameters: Any) -> BaseMiddleware[None]:
    return BaseMiddleware(None, **{"store": "memory", **parameters})


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("show", "progress", "show: 'progress' is not a path that begins with /"),
        ("show", None, "show: None is not a path"),
        (
            "format",
            "jsn",
            "format: 'jsn' is not one of json, jsonp, legacy, events",
        ),
        ("track", "upload", "track: 'upload' is not a path that begins with /"),
        ("track", ["/a", 1], "track: 1 is not a path"),
        ("track", 1, "track: 1 is not a path prefix, several, or a callable"),
        ("store", "memry", "store: 'memry' is not memory, local"),
        ("store", 1, "store: 1 is not a store"),
        ("allow_origins", "a.example", "allow_origins: 'a.example' is not '*' or origins"),
        ("ttl", -1, "ttl: -1 is not a number of seconds, 0 or more"),
        ("methods", ["PSOT"], "methods: 'PSOT' is not an HTTP method"),
        ("debug", 1, "debug: 1 is not true or false"),
        ("server_timing", 1, "server_timing: 1 is not true or false"),
        ("script", "progress.js", "script: 'progress.js' is not a path that begins with /"),
    ],
)
def test_a_wrong_parameter_is_named(name: str, value: object, message: str) -> None:
    with pytest.raises(OptionError, match=f"^{re.escape(message)}") as raised:
        middleware(**{name: value})
    assert raised.value.name == name


@pytest.mark.parametrize(
    ("track", "path", "wanted"),
    [
        (None, "/any", True),
        ("/upload", "/upload/a", True),
        ("/upload", "/other", False),
        (["/a", "/b"], "/b/c", True),
        (("/a", "/b"), "/c", False),
        (lambda request: request["yes"], "/any", True),
        (lambda request: not request["yes"], "/any", False),
        (lambda request: request["missing"], "/any", False),
    ],
)
def test_track_selects(track: Track, path: str, wanted: bool) -> None:
    assert middleware(track=track)._selects(path, {"yes": True}) is wanted


def test_a_failing_track_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    assert not middleware(track=lambda request: 1 / 0)._selects("/", {})
    assert "ZeroDivisionError" in caplog.text


@pytest.mark.parametrize(
    ("method", "path", "origins", "answers"),
    [
        ("GET", "/progress", (), True),
        ("HEAD", "/progress", (), True),
        ("POST", "/progress", "*", False),
        ("DELETE", "/progress", (), True),
        ("OPTIONS", "/progress", (), False),
        ("OPTIONS", "/progress", "*", True),
        ("GET", "/progress/", (), False),
    ],
)
def test_the_app_gets_what_asks_for_no_progress(
    method: str, path: str, origins: str | Iterable[str], answers: bool
) -> None:
    assert middleware(allow_origins=origins)._asks(method, path) is answers


@pytest.mark.parametrize(
    ("method", "path", "answers"),
    [
        ("GET", "/static/bar.js", True),
        ("HEAD", "/static/bar.js", True),
        ("POST", "/static/bar.js", False),
        ("OPTIONS", "/static/bar.js", False),
        ("GET", "/static/progress-upload.js", True),
        ("GET", "/progress-upload.js", False),
        ("GET", "/static/other.js", False),
    ],
)
def test_the_script_has_a_path_and_its_modules_are_beside_it(
    method: str, path: str, answers: bool
) -> None:
    assert middleware(script="/static/bar.js")._asks(method, path) is answers
    assert middleware()._asks(method, path) is False


def test_both_middlewares_have_the_same_parameters() -> None:
    for front in (asgi.ProgressMiddleware, wsgi.ProgressMiddleware):
        assert "__init__" not in vars(front)
        assert issubclass(front, BaseMiddleware)


def test_every_parameter_is_documented_with_its_default() -> None:
    signature = inspect.signature(BaseMiddleware)
    parameters = [each for each in signature.parameters.values() if each.name != "app"]
    page = (Path(__file__).parents[1] / "docs" / "middleware.md").read_text()
    rows = re.findall(r"^\| `(\w+)` \| `([^`]*)` \|", page, re.MULTILINE)
    assert [name for name, _ in rows] == [each.name for each in parameters]
    for (name, default), parameter in zip(rows, parameters, strict=True):
        documented = ast.literal_eval(default)
        if isinstance(documented, list):
            documented = tuple(documented)
        assert documented == parameter.default, name
        assert f"``{name}``" in (BaseMiddleware.__doc__ or "")


def post_by_asgi(store: Store, on_end: Any = None, **lengths: str) -> None:
    """Send a POST for each id, without a body, to an app that answers 200."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"ok"})

    async def drop(message: Any) -> None:
        pass

    middleware: Any = asgi.ProgressMiddleware(app, store=store, on_end=on_end)
    for identifier, length in lengths.items():
        scope = {
            "type": "http",
            "http_version": "1.1",
            "method": "POST",
            "path": "/",
            "query_string": f"X-Progress-ID={identifier}".encode(),
            "headers": [(b"content-length", length.encode("latin-1"))],
        }
        asyncio.run(middleware(scope, None, drop))


def post_by_wsgi(store: Store, on_end: Any = None, **lengths: str) -> None:
    """Send a POST for each id, without a body, to an app that answers 200."""

    def app(environ: Any, start_response: Any) -> list[bytes]:
        start_response("200 OK", [])
        return [b"ok"]

    middleware = wsgi.ProgressMiddleware(app, store=store, on_end=on_end)
    for identifier, length in lengths.items():
        environ = {
            "REQUEST_METHOD": "POST",
            "PATH_INFO": "/",
            "QUERY_STRING": f"X-Progress-ID={identifier}",
            "CONTENT_LENGTH": length,
            "SERVER_PROTOCOL": "HTTP/1.1",
            "wsgi.input": io.BytesIO(),
        }
        assert list(middleware(environ, lambda *_: print)) == [b"ok"]


@pytest.mark.parametrize(
    "length", ["9223372036854775807", "9223372036854775808", "\xb2", "9" * 5000]
)
@pytest.mark.parametrize("post", [post_by_asgi, post_by_wsgi])
def test_whatever_length_a_request_has_other_processes_see_it(
    post: Callable[..., None], length: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    store = open_store("local:lengths")
    post(store, first=length, second="0")
    eventually(lambda: states_in(store, "first", "second") == [State.DONE, State.DONE])


def states_in(store: Store, *identifiers: str) -> list[State]:
    found = store.lookup_many(identifiers)
    assert isinstance(found, list)
    return [snapshot.state for snapshot in found]
