"""Both middlewares cancel transfers for their owners and for whom the app permits it."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from mod_progress import asgi, wsgi
from mod_progress.options import OptionError
from mod_progress.stores.memory import MemoryStore
from mod_progress.transfer import State, Transfer
from tests.asgi import asgi_server
from tests.test_dump_fronts import FRONTS, Front
from tests.wsgi import wsgi_server

OWN = "/progress?X-Progress-ID=own~secret"
PLAIN = "/progress?X-Progress-ID=plain"
PAGE = "https://page.example"


@pytest.fixture(params=FRONTS)
def front(request: pytest.FixtureRequest) -> Front:
    return FRONTS[request.param]


def track(app: Any, *identifiers: str) -> list[Transfer]:
    queries = [f"X-Progress-ID={each}".encode() for each in identifiers]
    return [app._tracker.track("POST", query, None, 10) for query in queries]


def fail(request: Any) -> bool:
    raise RuntimeError("the session is broken")


@pytest.mark.parametrize(
    ("cancel", "own", "plain"),
    [
        (None, 405, 405),
        (lambda request: False, 204, 403),
        (lambda request: None, 204, 403),
        (lambda request: 1 == 1, 204, 204),
        (lambda request: "yes", 204, 403),
        (fail, 204, 403),
    ],
)
def test_the_callable_says_who_may(front: Front, cancel: Any, own: int, plain: int) -> None:
    app = front.make(store=MemoryStore(), cancel=cancel)
    transfers = track(app, "own~secret", "plain")
    for url, status, transfer in [(OWN, own, transfers[0]), (PLAIN, plain, transfers[1])]:
        found = front.ask(app, "DELETE", url)
        assert found.status == status
        assert found.headers.get("allow") == ("GET, HEAD" if status == 405 else None)
        assert transfer.state is (State.ERROR if status == 204 else State.RUNNING)
        assert bool(found.body) is (status != 204)
    if own == 204:
        assert front.ask(app, "GET", OWN).body == b'{"state": "error", "status": 0}'


def test_the_callable_gets_the_request(front: Front) -> None:
    def cancel(request: Any) -> bool:
        headers = dict(request.get("headers", ()))
        return "let-me" in (request.get("HTTP_TOKEN"), headers.get(b"token", b"").decode())

    app = front.make(store=MemoryStore(), cancel=cancel)
    track(app, "plain")
    assert front.ask(app, "DELETE", PLAIN).status == 403
    assert front.ask(app, "DELETE", PLAIN, token="let-me").status == 204


def test_an_async_callable_of_an_asgi_app() -> None:
    async def cancel(scope: Any) -> bool:
        await asyncio.sleep(0)
        return True

    app = FRONTS["asgi"].make(store=MemoryStore(), cancel=cancel)
    track(app, "plain")
    assert FRONTS["asgi"].ask(app, "DELETE", PLAIN).status == 204


@pytest.mark.parametrize(
    ("cancel", "methods"), [(None, "GET, HEAD"), (lambda request: False, "GET, HEAD, DELETE")]
)
def test_pages_of_other_origins(front: Front, cancel: Any, methods: str) -> None:
    app = front.make(store=MemoryStore(), cancel=cancel, allow_origins=PAGE)
    preflight = front.ask(app, "OPTIONS", OWN, origin=PAGE)
    assert preflight.headers["access-control-allow-methods"] == methods
    found = front.ask(app, "DELETE", OWN, origin=PAGE)
    assert found.status == (404 if cancel else 405)
    assert found.headers["access-control-allow-origin"] == PAGE
    other = front.ask(app, "OPTIONS", OWN, origin="https://evil.example")
    assert "access-control-allow-methods" not in other.headers


def test_a_wrong_parameter_is_refused(front: Front) -> None:
    with pytest.raises(OptionError, match=r"^cancel: True is not a callable that says who may"):
        front.make(store="memory", cancel=True)


def test_an_asgi_app_sees_that_the_client_is_gone() -> None:
    seen: list[str] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        assert (await receive())["body"] == b"first"
        await send(asgi_server.start())
        (transfer,) = middleware._tracker.table._running.values()
        transfer.cancel()
        seen.append((await receive())["type"])
        with pytest.raises(ConnectionResetError):
            await send(asgi_server.part(b"more"))
        seen.append((await receive())["type"])

    middleware = asgi.ProgressMiddleware(app, store=MemoryStore())
    server = asgi_server.Server(*asgi_server.body(b"first", b"second"))
    asyncio.run(middleware(asgi_server.scope(), server.receive, server.send))
    assert seen == ["http.disconnect"] * 2
    assert [each["type"] for each in server.sent] == ["http.response.start"]
    assert asgi_server.show(middleware) == {"state": "error", "status": 0}


def test_a_wsgi_app_can_neither_read_nor_send() -> None:
    taken: list[bytes] = []

    def app(environ: Any, start_response: Any) -> Any:
        body = environ["wsgi.input"]
        assert body.read(2) == b"ab"
        write = start_response("200 OK", [])
        yield b"first"
        (transfer,) = middleware._tracker.table._running.values()
        transfer.cancel()
        for read in (body.read, body.readline, lambda: next(body)):
            with pytest.raises(ConnectionResetError):
                read()
        with pytest.raises(ConnectionResetError):
            write(b"more")
        yield b"second"

    middleware = wsgi.ProgressMiddleware(app, store=MemoryStore())
    server = wsgi_server.Server()
    with pytest.raises(ConnectionResetError):
        taken.extend(middleware(wsgi_server.environ(b"abcd"), server.start_response))
    assert taken == [b"first"]
    assert server.written == b""
    assert wsgi_server.show(middleware) == {"state": "error", "status": 0}
