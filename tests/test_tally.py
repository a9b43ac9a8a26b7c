"""What is published counts once, whatever happens to the store and to the process."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from mod_progress import publisher, tally
from mod_progress.options import Options
from mod_progress.stores.contract import Store, StoreError
from mod_progress.stores.listing import Query
from mod_progress.stores.lmdb.store import LocalStore
from mod_progress.stores.memory import MemoryStore
from mod_progress.stores.redis.store import RedisStore
from mod_progress.stores.totals import Totals
from mod_progress.tracker import Tracker
from mod_progress.transfer import Transfer
from tests.stores.store_servers import RedisServer, eventually, page
from tests.stores.test_totals import ends


@pytest.fixture(autouse=True)
def _own_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    monkeypatch.setattr("mod_progress.stores.walks.KEEP", 0.0)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    server = RedisServer(tmp_path_factory.mktemp("redis"), "--bind", "127.0.0.1")
    server.start()
    yield server
    server.kill()


@pytest.fixture(params=["memory", "local", "redis"])
def store(request: pytest.FixtureRequest) -> Store:
    if request.param == "memory":
        return MemoryStore()
    if request.param == "local":
        return LocalStore("tally")
    server: RedisServer = request.getfixturevalue("server")
    server.command("FLUSHALL")
    return RedisStore(server.url)


def track(tracker: Tracker, identifier: str, size: int | None = 1000) -> Transfer:
    transfer = tracker.track("POST", b"X-Progress-ID=" + identifier.encode(), None, size)
    assert transfer is not None
    return transfer


def totals_of(store: Store) -> Totals:
    """Return the totals; none of a store that does not answer now."""
    try:
        return page(store, Query(limit=1)).totals or Totals()
    except StoreError:
        return Totals()


@pytest.mark.parametrize("ttl", [30.0, 0.0])
def test_what_a_process_published_is_in_the_totals(store: Store, ttl: float) -> None:
    tracker = Tracker(Options(ttl=ttl), store)
    long = track(tracker, "long")
    for number in range(3):
        transfer = track(tracker, f"id{number}")
        transfer.received = 1000
        transfer.response_started(200 if number else 500, 10)
        transfer.written = 10
        transfer.delivered()
    track(tracker, "download", 0).delivered()
    long.received = 7
    eventually(lambda: totals_of(store).received == 3007)
    expected = {"upload done": 2, "upload error": 1, "download done": 1}
    eventually(lambda: ends(totals_of(store)) == expected)
    assert totals_of(store).sent == 30
    # To be shown, an end may be published before its turn. It still counts once.
    again = track(tracker, "again")
    again.delivered()
    tracker.look_many(["again", "long"])
    eventually(lambda: ends(totals_of(store)) == expected | {"upload done": 3})
    # What runs at the end of the process is cut.
    tracker.close()
    eventually(lambda: ends(totals_of(store)) == expected | {"upload done": 3, "upload error": 2})
    found = totals_of(store)
    assert [number for _, number in found.buckets()][-1] == 6
    assert 0 < found.seconds < 60
    store.close()


class FailingStore(MemoryStore):
    """A store that cannot add, for one reason or another."""

    def __init__(self) -> None:
        super().__init__()
        self.failure: Exception | None = None
        self.tried: list[Totals] = []

    def add_totals(self, totals: Totals) -> None:
        self.tried.append(totals)
        if self.failure is not None:
            raise self.failure
        super().add_totals(totals)


def test_what_could_not_be_added_is_tried_again_unchanged(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tally, "RETRY", 0.01)
    store = FailingStore()
    store.failure = StoreError("it is away")
    tracker = Tracker(store=store)
    track(tracker, "a").delivered()
    eventually(lambda: len(store.tried) > 2)
    track(tracker, "b").delivered()
    assert {each.mark for each in store.tried} == {store.tried[0].mark}
    store.failure = None
    eventually(lambda: ends(totals_of(store)) == {"upload done": 2})
    tracker.close()


def test_an_exception_that_nobody_expects_loses_numbers_and_nothing_else(
    caplog: pytest.LogCaptureFixture,
) -> None:
    store = FailingStore()
    store.failure = LookupError("nobody expects this")
    tracker = Tracker(store=store)
    track(tracker, "a").delivered()
    eventually(lambda: store.tried)
    eventually(lambda: caplog.records)
    store.failure = None
    track(tracker, "b").delivered()
    eventually(lambda: ends(totals_of(store)) == {"upload done": 1})
    assert len(caplog.records) == 1
    tracker.close()


def test_an_outage_of_redis_loses_no_end(
    server: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in publisher, tally:
        monkeypatch.setattr(module, "RETRY", 0.05)
    server.command("FLUSHALL")
    store = RedisStore(server.url)
    tracker = Tracker(store=store)
    track(tracker, "a").delivered()
    eventually(lambda: ends(totals_of(store)) == {"upload done": 1})
    server.send(signal.SIGSTOP)
    for number in range(5):
        track(tracker, f"id{number}").delivered()
    eventually(lambda: tracker.troubles())
    server.send(signal.SIGCONT)
    eventually(lambda: ends(totals_of(store)) == {"upload done": 6})
    tracker.close()


_KILLED = """
import os, signal, sys, time
from mod_progress.stores import open_store
from mod_progress.tracker import Tracker

store = open_store(sys.argv[1])
tracker = Tracker(store=store)
for number in range(10):
    tracker.track("POST", b"X-Progress-ID=dead%d" % number, None, 10).delivered()
print("tracked", flush=True)
sys.stdin.read()
"""


def test_the_totals_survive_a_process_that_is_killed(store: Store, server: RedisServer) -> None:
    name = {RedisStore: server.url, LocalStore: "local:tally"}.get(type(store), "memory")
    with subprocess.Popen(
        [sys.executable, "-c", _KILLED, name], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"tracked\n"
        own = Tracker(store=store)
        track(own, "own").delivered()
        # The memory of another process is its own.
        expected = 1 if name == "memory" else 11
        eventually(lambda: ends(totals_of(store)) == {"upload done": expected})
        os.kill(process.pid, signal.SIGKILL)
    eventually(lambda: ends(totals_of(store)) == {"upload done": expected})
    own.close()
    store.close()


class PlainStore:
    """A store of an app's own that keeps no totals."""

    near = True

    def __init__(self) -> None:
        store = MemoryStore()
        self.publish = store.publish
        self.lookup = store.lookup
        self.lookup_many = store.lookup_many
        self.close = store.close


def test_a_store_without_totals_is_published_to_all_the_same() -> None:
    store = PlainStore()
    tracker = Tracker(store=store)
    track(tracker, "a").delivered()
    eventually(lambda: store.lookup("a").state == "done")
    tracker.close()
