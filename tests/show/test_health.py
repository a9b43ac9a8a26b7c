"""Whether a process works. The faults are real: no thread, no server, a store that is stuck."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from mod_progress import publisher
from mod_progress.show.health import answer_health
from mod_progress.stores.contract import WRITE_TIMEOUT, PublishResult, Update
from mod_progress.stores.lmdb.store import LocalStore
from mod_progress.stores.memory import MemoryStore
from mod_progress.stores.redis import lookups
from mod_progress.stores.redis.store import RedisStore
from mod_progress.tracker import Tracker
from mod_progress.transfer import Transfer
from tests.stores.store_servers import RedisServer, eventually

NO_THREAD = "the thread that publishes transfers does not run"
NO_LOOKUPS = "the threads that look transfers up do not run"
UNREADABLE = "the store cannot be read"
UNWRITABLE = "transfers cannot be written to the store"


def track(tracker: Tracker, identifier: str = "a") -> Transfer:
    transfer = tracker.track("POST", b"X-Progress-ID=" + identifier.encode(), None, 1000)
    assert transfer is not None
    return transfer


def reasons(tracker: Tracker, *own: str) -> list[str]:
    """Ask, check that status and body say the same, and return the reasons."""
    status, fields, body = answer_health(tracker, own)
    assert dict(fields)["Cache-Control"] == "no-store"
    assert isinstance(body, bytes)
    said: dict[str, Any] = json.loads(body)
    found: list[str] = said.pop("reasons")
    assert (status, said) == ((503, {"status": "failing"}) if found else (200, {"status": "ok"}))
    return found


@contextmanager
def no_room_for_threads() -> Iterator[None]:
    """Let each new thread ask for a stack of half of the address space: none can be started."""
    before = threading.stack_size(1 << 46)
    try:
        yield
    finally:
        threading.stack_size(before)


def test_without_a_fault_all_is_well(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    for store in None, MemoryStore(), LocalStore("health"):
        tracker = Tracker(store=store)
        assert reasons(tracker) == []
        transfer = track(tracker)
        assert reasons(tracker) == []
        transfer.delivered()
        assert reasons(tracker) == []
        assert reasons(tracker, "the front's own") == ["the front's own"]
        tracker.close()


def test_a_publisher_without_a_thread_until_there_is_one() -> None:
    store = MemoryStore()
    tracker = Tracker(store=store)
    with no_room_for_threads():
        track(tracker)
        assert reasons(tracker) == [NO_THREAD]
        assert reasons(tracker) == [NO_THREAD]
    # No new transfer comes: to ask is enough.
    assert reasons(tracker) == []
    eventually(lambda: store.lookup("a").request_size == 1000)
    tracker.close()


def test_lookups_without_threads_until_there_are_some(redis_server: RedisServer) -> None:
    tracker = Tracker(store=RedisStore(redis_server.url.replace("://", "://:geheim@")))
    with no_room_for_threads():
        assert reasons(tracker) == [NO_LOOKUPS]
    assert reasons(tracker) == []
    tracker.close()


def test_a_redis_that_is_killed(redis_server: RedisServer, monkeypatch: pytest.MonkeyPatch) -> None:
    for module in lookups, publisher:
        monkeypatch.setattr(module, "RETRY", 0.05)
    tracker = Tracker(store=RedisStore(redis_server.url.replace("://", "://:geheim@")))
    transfer = track(tracker)
    eventually(lambda: reasons(tracker) == [])
    redis_server.kill()
    transfer.received = 500
    eventually(lambda: reasons(tracker) == [UNWRITABLE, UNREADABLE])
    redis_server.start()
    eventually(lambda: reasons(tracker) == [])
    transfer.delivered()
    tracker.close()


def test_an_idle_process_learns_of_a_redis_that_is_not_there(
    redis_server: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lookups, "RETRY", 0.05)
    redis_server.kill()
    tracker = Tracker(store=RedisStore(redis_server.url))
    eventually(lambda: reasons(tracker) == [UNREADABLE])
    tracker.close()


def test_local_files_that_cannot_be_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    store = LocalStore("health")
    tracker = Tracker(store=store)
    assert reasons(tracker) == []
    store.close()
    (data,) = tmp_path.rglob("data.mdb")
    data.write_bytes(b"no database at all" * 1000)
    assert reasons(tracker) == [UNREADABLE]
    track(tracker)  # the store starts over with the first transfer
    eventually(lambda: reasons(tracker) == [])
    tracker.close()


class StuckStore(MemoryStore):
    """A store that never finishes writing, until it is let go on."""

    near = False

    def __init__(self) -> None:
        super().__init__()
        self.writing = threading.Event()
        self.go_on = threading.Event()

    def publish(self, batch: Sequence[Update], timeout: float = WRITE_TIMEOUT) -> PublishResult:
        self.writing.set()
        self.go_on.wait()
        return super().publish(batch, timeout)


def test_a_publisher_that_is_stuck_is_late(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(publisher, "LEASE", 0.1)
    store = StuckStore()
    tracker = Tracker(store=store)
    track(tracker)
    assert store.writing.wait(10)
    eventually(lambda: "transfers are published" in str(reasons(tracker)))
    (reason,) = reasons(tracker)
    assert reason.endswith(" seconds late")
    store.go_on.set()
    eventually(lambda: store.lookup("a").request_size == 1000)
    monkeypatch.setattr(publisher, "LEASE", 60.0)
    eventually(lambda: reasons(tracker) == [])
    tracker.close()


class BrokenStore(MemoryStore):
    def troubles(self) -> list[str]:
        raise LookupError("nobody expects this")


def test_what_nobody_expects_is_a_reason_too(caplog: pytest.LogCaptureFixture) -> None:
    tracker = Tracker(store=BrokenStore())
    assert reasons(tracker) == ["the store cannot be asked"]
    assert reasons(tracker) == ["the store cannot be asked"]
    assert len(caplog.records) == 1
    tracker.close()
