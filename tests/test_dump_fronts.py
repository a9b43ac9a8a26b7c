"""Both middlewares list all transfers to those whom the app permits it, and to nobody else."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import pytest

from mod_progress import asgi, wsgi
from mod_progress.options import OptionError
from mod_progress.stores.memory import MemoryStore
from tests.asgi import asgi_server
from tests.wsgi import wsgi_server

ID = "0123456789abcdef"


class Seen(NamedTuple):
    status: int
    headers: dict[str, str]
    body: bytes


class Front(NamedTuple):
    """A middleware: how it is made around an app that answers, and how it is asked."""

    make: Callable[..., Any]
    ask: Callable[..., Seen]


def ask_asgi(app: Any, method: str, url: str, **headers: str) -> Seen:
    found = asgi_server.ask(app, method, url, headers=headers)
    return Seen(found.status_code, dict(found.headers), found.content)


def ask_wsgi(app: Any, method: str, url: str, **headers: str) -> Seen:
    parts = urlsplit(url)
    environ = wsgi_server.environ(method=method, path=parts.path, query=parts.query)
    environ["REMOTE_ADDR"] = "127.0.0.1"
    environ.update((f"HTTP_{name.upper()}", value) for name, value in headers.items())
    server = wsgi_server.Server()
    response = app(environ, server.start_response)
    body = b"".join(response)
    getattr(response, "close", lambda: None)()
    fields = {name.lower(): value for name, value in server.headers}
    return Seen(int(server.status[:3]), fields, body)


FRONTS = {
    "asgi": Front(
        lambda **parameters: asgi.ProgressMiddleware(
            asgi_server.app_of(asgi_server.start(), asgi_server.part(b"ok")), **parameters
        ),
        ask_asgi,
    ),
    "wsgi": Front(
        lambda **parameters: wsgi.ProgressMiddleware(wsgi_server.app_of(b"ok"), **parameters),
        ask_wsgi,
    ),
}


@pytest.fixture(params=FRONTS)
def front(request: pytest.FixtureRequest) -> Front:
    return FRONTS[request.param]


def fail(request: Any) -> bool:
    raise RuntimeError("the session is broken")


@pytest.mark.parametrize(
    ("dump", "status", "shown"),
    [
        (None, 400, None),
        (lambda request: False, 403, None),
        (lambda request: None, 403, None),
        (lambda request: 1 == 1, 200, "01234567..."),
        (lambda request: "ids", 200, ID),
        (lambda request: "yes", 403, None),
        (lambda request: object(), 403, None),
        (fail, 403, None),
    ],
)
@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_the_callable_says_who_may(
    front: Front, dump: Any, status: int, shown: str | None, method: str
) -> None:
    store = MemoryStore()
    app = front.make(store=store, dump=dump)
    front.ask(app, "POST", f"/upload?X-Progress-ID={ID}&password=secret")
    app._tracker._publisher.close()
    found = front.ask(app, method, "/progress?format=dump")
    assert found.status == status
    assert int(found.headers["content-length"]) > 0
    if method == "HEAD":
        assert found.body == b""
    elif shown is None:
        assert list(json.loads(found.body)) == ["error"]
    else:
        (row,) = json.loads(found.body)
        assert (row["id"], row["path"], row["peer"]) == (shown, "/upload", "127.0.0.1")
        assert row["state"] == "done"
    assert b"secret" not in found.body


def test_the_callable_gets_the_request(front: Front) -> None:
    def dump(request: Any) -> bool:
        headers = dict(request.get("headers", ()))
        return "let-me" in (request.get("HTTP_TOKEN"), headers.get(b"token", b"").decode())

    app = front.make(store=MemoryStore(), dump=dump)
    assert front.ask(app, "GET", "/progress?format=dump").status == 403
    assert front.ask(app, "GET", "/progress?format=dump", token="let-me").status == 200


def test_an_async_callable_of_an_asgi_app() -> None:
    async def dump(scope: Any) -> str:
        return "ids" if scope["query_string"].endswith(b"me") else ""

    app = FRONTS["asgi"].make(store=MemoryStore(), dump=dump)
    for runs_on in "asyncio", "trio":
        url = "/progress?format=dump&user="
        assert asgi_server.ask(app, "GET", url + "me", runs_on=runs_on).status_code == 200
        assert asgi_server.ask(app, "GET", url + "you", runs_on=runs_on).status_code == 403


def test_pages_of_other_origins_never_read_it(front: Front) -> None:
    app = front.make(store=MemoryStore(), dump=lambda request: True, allow_origins="*")
    found = front.ask(app, "GET", "/progress?format=dump", origin="https://page.example")
    assert (found.status, "access-control-allow-origin" in found.headers) == (200, False)
    preflight = front.ask(app, "OPTIONS", "/progress?format=dump", origin="https://page.example")
    assert preflight.status == 204


def test_other_questions_need_no_permission(front: Front) -> None:
    app = front.make(store=MemoryStore(), dump=lambda request: False)
    found = front.ask(app, "GET", "/progress?X-Progress-ID=a")
    assert (found.status, json.loads(found.body)) == (200, {"state": "unknown"})


class Plain:
    """A store of an app's own that lists nothing."""

    near = True
    publish = lookup = lookup_many = close = None


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"dump": True}, "dump: True is not a callable that says who may list all transfers"),
        ({"dump": lambda request: True, "store": Plain()}, "which dump needs"),
        ({"format": "dump"}, "format: 'dump' is not one of json, jsonp, legacy, events"),
    ],
)
def test_a_wrong_parameter_is_refused(
    front: Front, parameters: dict[str, Any], message: str
) -> None:
    with pytest.raises(OptionError) as raised:
        front.make(**{"store": "memory", **parameters})
    assert message in str(raised.value)


@pytest.mark.parametrize(
    ("script", "path", "whole"),
    [("", "/up", "/up"), ("/at", "/up", "/at/up"), ("", "/\u00c3\u00a9", "/\u00e9")],
)
def test_a_wsgi_path_is_that_of_the_client(script: str, path: str, whole: str) -> None:
    store = MemoryStore()
    app = FRONTS["wsgi"].make(store=store, dump=lambda request: True)
    environ = wsgi_server.environ(path=path, SCRIPT_NAME=script)
    list(app(environ, wsgi_server.Server().start_response))
    app._tracker._publisher.close()
    (row,) = json.loads(ask_wsgi(app, "GET", "/progress?format=dump").body)
    assert row["path"] == whole
