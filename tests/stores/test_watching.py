"""A transfer of another process is watched through each store, with real tickers and publishers."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from mod_progress.show.answering import answer_inquiry
from mod_progress.show.events import EventStream
from mod_progress.show.formats import EVENTS
from mod_progress.show.question import inquire
from mod_progress.show.ticker import Ticker, call_here
from mod_progress.stores.contract import Store
from mod_progress.stores.lmdb.store import LocalStore
from mod_progress.stores.memory import MemoryStore
from mod_progress.stores.redis.store import RedisStore
from mod_progress.tracker import Tracker
from tests.gateway.running import eventually
from tests.show.asking import at_once, question
from tests.show.event_source import EventSource
from tests.stores.store_servers import RedisServer


@pytest.fixture(params=["memory", "local", "redis"])
def trackers(request: pytest.FixtureRequest) -> Iterator[list[Tracker]]:
    """Two processes' trackers."""
    memory = MemoryStore()

    def open_store() -> Store:
        if request.param == "memory":
            return memory
        if request.param == "local":
            return LocalStore("watching")
        server: RedisServer = request.getfixturevalue("redis_server")
        return RedisStore(server.url)

    opened = [Tracker(store=open_store()) for _ in range(2)]
    yield opened
    for tracker in opened:
        tracker.close()


class Watcher:
    """Watches transfers through a process that does not have them."""

    def __init__(self, tracker: Tracker, query: str) -> None:
        asked = inquire(question(query.encode()), EVENTS)
        assert asked is not None
        stream = at_once(answer_inquiry(asked, tracker, Ticker(tracker))).body
        assert isinstance(stream, EventStream)
        self.stream = stream
        self.source = EventSource()
        self.stream.open(call_here, lambda: self.source.feed(self.stream.take()))
        self.source.feed(self.stream.take())

    def has_seen(self, identifier: str, **members: object) -> bool:
        wanted = {"id": identifier, **members}
        return any(event.json() | wanted == event.json() for event in self.source.events)


def test_a_transfer_of_another_process_is_watched(trackers: list[Tracker]) -> None:
    owner, other = trackers
    watcher = Watcher(other, "X-Progress-ID=a&X-Progress-ID=b")
    eventually(lambda: watcher.has_seen("b", state="unknown"))
    first = owner.track("POST", b"X-Progress-ID=a", None, 100)
    second = owner.track("POST", b"X-Progress-ID=b", None, None)
    assert first is not None
    assert second is not None
    for received in (10, 60):
        first.received = received
        eventually(lambda: watcher.has_seen("a", state="running", received=received))  # noqa: B023
    first.response_started(200, 0)
    first.delivered()
    eventually(lambda: watcher.has_seen("a", state="done", received=60))
    assert not watcher.stream.ended
    second.cut()
    eventually(lambda: watcher.stream.ended)
    assert watcher.has_seen("b", state="error", status=0)
    assert watcher.source.events[-1].name == "end"
