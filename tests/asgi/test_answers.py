"""Streams and answers that wait, through the ASGI middleware, on asyncio and on trio."""

from __future__ import annotations

import signal
from collections.abc import Callable
from typing import Any

import anyio
import anyio.abc
import pytest

from mod_progress.asgi import ProgressMiddleware
from mod_progress.asgi import answers as asgi_answers
from mod_progress.asgi.exchange import Message, Receive, Scope, Send
from mod_progress.show import ticker as ticker_module
from mod_progress.show.ticker import Ticker
from mod_progress.shutdown import shutdown
from mod_progress.tracker import Tracker
from mod_progress.transfer import Transfer
from tests.show.event_source import EventSource

pytestmark = pytest.mark.anyio


@pytest.fixture(params=["asyncio", "trio"])
def anyio_backend(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ticker_module, "TICK", 0.01)
    monkeypatch.setattr(ticker_module, "LINGER", 0.05)


async def nothing(scope: Scope, receive: Receive, send: Send) -> None:
    raise AssertionError("the app is not asked")


@pytest.fixture
def app() -> ProgressMiddleware:
    return ProgressMiddleware(nothing, store="memory")


def ticker_of(app: ProgressMiddleware) -> Ticker:
    ticker = app._responder._ticker
    assert ticker is not None
    return ticker


def track(app: ProgressMiddleware) -> Transfer:
    tracker: Tracker = app._tracker
    transfer = tracker.track("POST", b"X-Progress-ID=a", None, 100)
    assert transfer is not None
    return transfer


class Client:
    """One request of a client, and its response as a server gets it."""

    def __init__(self, app: ProgressMiddleware, query: str = "format=events", **scope: Any) -> None:
        self.app = app
        self.scope: Scope = {
            "type": "http",
            "http_version": "1.1",
            "method": "GET",
            "path": "/progress",
            "query_string": f"X-Progress-ID=a&{query}".encode(),
            "headers": [],
            **scope,
        }
        self.started: Message | None = None
        self.source = EventSource()
        self.body = b""
        self.ended = False
        self.returned = False
        self._asked = False
        self._left = anyio.Event()
        #: While it is not set, nothing is read.
        self.reads = anyio.Event()
        self.reads.set()

    async def run(self) -> None:
        await self.app(self.scope, self.receive, self.send)
        self.returned = True

    async def receive(self) -> Message:
        if not self._asked:
            self._asked = True
            return {"type": "http.request", "body": b"", "more_body": False}
        await self._left.wait()
        return {"type": "http.disconnect"}

    async def send(self, message: Message) -> None:
        await self.reads.wait()
        if message["type"] == "http.response.start":
            self.started = message
            return
        self.body += message["body"]
        self.source.feed(message["body"])
        self.ended = not message.get("more_body", False)

    def leave(self) -> None:
        self._left.set()

    @property
    def states(self) -> list[str]:
        return [event.json().get("state", event.name) for event in self.source.events]

    def fields(self) -> dict[bytes, bytes]:
        assert self.started is not None
        return dict(self.started["headers"])


async def until(condition: Callable[[], object]) -> None:
    with anyio.fail_after(10):
        while not condition():
            await anyio.sleep(0.005)


class Serving:
    """Runs a client's request beside the test."""

    def __init__(self, client: Client) -> None:
        self.client = client

    async def __aenter__(self) -> Client:
        self._tasks = anyio.create_task_group()
        await self._tasks.__aenter__()
        self._tasks.start_soon(self.client.run)
        return self.client

    async def __aexit__(self, *error: Any) -> None:
        await self._tasks.__aexit__(*error)


async def test_events_come_while_the_transfer_runs(app: ProgressMiddleware) -> None:
    async with Serving(Client(app)) as client:
        await until(lambda: client.states == ["unknown"])
        transfer = track(app)
        await until(lambda: client.states == ["unknown", "running"])
        assert not client.ended
        transfer.response_started(200, 0)
        transfer.delivered()
        await until(lambda: client.returned)
    assert client.states == ["unknown", "running", "done", "end"]
    assert client.ended
    assert client.started is not None
    assert client.started["status"] == 200
    assert client.fields()[b"content-type"] == b"text/event-stream"
    assert b"content-length" not in client.fields()
    assert not ticker_of(app)._watchers


async def test_a_client_that_leaves_leaves_nothing_behind(app: ProgressMiddleware) -> None:
    async with Serving(Client(app)) as client:
        await until(lambda: client.states == ["unknown"])
        client.leave()
        await until(lambda: client.returned)
    assert not ticker_of(app)._watchers


async def test_a_cancelled_request_leaves_nothing_behind(app: ProgressMiddleware) -> None:
    client = Client(app)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(client.run)
        await until(lambda: client.states == ["unknown"])
        tasks.cancel_scope.cancel()
    assert not ticker_of(app)._watchers


async def test_a_server_that_says_by_an_error_that_the_client_left(
    app: ProgressMiddleware,
) -> None:
    class Left(Client):
        async def send(self, message: Message) -> None:
            if self.source.events:
                raise BrokenPipeError
            await super().send(message)

    async with Serving(Left(app)) as client:
        await until(lambda: client.states == ["unknown"])
        track(app)
        await until(lambda: client.returned)
    assert not ticker_of(app)._watchers


async def test_a_client_that_does_not_read_gets_the_latest(app: ProgressMiddleware) -> None:
    transfer = track(app)
    async with Serving(Client(app)) as client, Serving(Client(app)) as other:
        await until(lambda: client.states and other.states)
        client.reads = anyio.Event()
        for received in range(1, 6):
            transfer.received = received
            await until(lambda: len(other.states) == received + 1)  # noqa: B023
        client.reads.set()
        await until(lambda: client.source.events[-1].json().get("received") == 5)
        assert len(client.states) <= 3
        transfer.cut()
        await until(lambda: client.returned and other.returned)


async def test_a_client_that_never_reads_is_given_up(
    app: ProgressMiddleware, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(asgi_answers, "MOST_LIFE", 0.05)
    monkeypatch.setattr(asgi_answers, "_PATIENCE", 0.05)
    async with Serving(Client(app)) as client:
        await until(lambda: client.states == ["unknown"])
        client.reads = anyio.Event()
        track(app)
        await until(lambda: client.returned)
    assert not client.ended
    assert not ticker_of(app)._watchers


async def test_head_gets_the_fields_alone(app: ProgressMiddleware) -> None:
    client = Client(app, method="HEAD")
    await client.run()
    assert client.ended
    assert client.body == b""
    assert client.fields()[b"content-type"] == b"text/event-stream"
    assert not ticker_of(app)._watchers


def waiting(app: ProgressMiddleware, tag: bytes = b"") -> Client:
    """A client that waits for news."""
    fields = [(b"prefer", b"wait=20"), (b"if-none-match", tag)][: 1 + bool(tag)]
    return Client(app, "", headers=fields)


async def test_an_answer_waits_for_news(app: ProgressMiddleware) -> None:
    transfer = track(app)
    first = waiting(app)
    await first.run()
    async with Serving(waiting(app, first.fields()[b"etag"])) as client:
        await until(lambda: ticker_of(app)._watchers)
        for _ in range(3):
            ticked = ticker_of(app)._next_tick
            await until(lambda: ticker_of(app)._next_tick > ticked)  # noqa: B023
        assert client.started is None
        transfer.received = 7
        await until(lambda: client.returned)
    assert b'"received": 7,' in client.body
    assert client.fields()[b"content-length"] == str(len(client.body)).encode()


async def test_who_leaves_while_an_answer_waits(
    app: ProgressMiddleware, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(asgi_answers, "_STORE_TIME", 0.02)
    track(app)
    first = waiting(app)
    await first.run()
    async with Serving(waiting(app, first.fields()[b"etag"])) as client:
        await until(lambda: ticker_of(app)._watchers)
        client.leave()
        await until(lambda: client.returned)
    assert client.started is None
    assert not ticker_of(app)._watchers


async def test_304_has_no_body(app: ProgressMiddleware) -> None:
    track(app)
    first = waiting(app)
    await first.run()
    async with Serving(waiting(app, first.fields()[b"etag"])) as client:
        await until(lambda: ticker_of(app)._watchers)
        ticker_of(app).end()
        await until(lambda: client.returned)
    assert client.started is not None
    assert client.started["status"] == 304
    assert client.body == b""
    assert b"content-length" not in client.fields()


async def test_a_cancelled_wait_leaves_nothing_behind(app: ProgressMiddleware) -> None:
    track(app)
    first = waiting(app)
    await first.run()
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(waiting(app, first.fields()[b"etag"]).run)
        await until(lambda: ticker_of(app)._watchers)
        tasks.cancel_scope.cancel()
    assert not ticker_of(app)._watchers


async def test_who_has_the_final_state_gets_204(app: ProgressMiddleware) -> None:
    track(app).cut()
    first = Client(app)
    await first.run()
    last = first.source.last_id.encode()
    again = Client(app, headers=[(b"last-event-id", last)])
    await again.run()
    assert again.started is not None
    assert again.started["status"] == 204


async def test_a_stream_ends_when_the_server_is_told_to_end(app: ProgressMiddleware) -> None:
    told: list[int] = []
    before = signal.signal(signal.SIGTERM, lambda number, _: told.append(number))
    try:
        async with Serving(Client(app)) as client:
            await until(lambda: client.states == ["unknown"])
            signal.raise_signal(signal.SIGTERM)
            await until(lambda: client.returned)
        assert client.ended
        assert told == [signal.SIGTERM]
    finally:
        signal.signal(signal.SIGTERM, before)
        shutdown.after_fork()  # this process goes on
