"""Every store carries requests to cancel to the process that serves the transfer."""

from __future__ import annotations

from concurrent.futures import Future
from typing import Any

import pytest

from mod_progress.options import Options
from mod_progress.stores.cancelling import KEPT, Cancelling, ToCancel
from mod_progress.stores.contract import Store, StoreError, Update
from mod_progress.stores.lmdb.store import LocalStore
from mod_progress.stores.memory import MemoryStore
from mod_progress.stores.redis.store import RedisStore
from mod_progress.stores.totals import Counting, Totals
from mod_progress.tracker import Cancellation, Tracker
from mod_progress.transfer import Snapshot, State, Transfer
from tests.stores.conftest import Open
from tests.stores.store_servers import RedisServer, eventually, listed, look

RUNNING = Snapshot(State.RUNNING)
START = 5


def result(found: Any) -> Any:
    return found.result(timeout=10) if isinstance(found, Future) else found


def ask(store: Store, identifier: str) -> State:
    assert isinstance(store, Cancelling)
    state: State = result(store.ask_to_cancel(identifier))
    return state


def await_request(store: Store) -> ToCancel:
    """Return the next request. A store that is far away is asked twice a second."""
    assert isinstance(store, Cancelling)
    found: list[ToCancel] = []

    def is_there() -> bool:
        found.extend(store.to_cancel())
        return bool(found)

    eventually(is_there)
    return found[0]


def publish(store: Store, identifier: str, snapshot: Snapshot = RUNNING) -> None:
    store.publish([Update(identifier, START, snapshot, 30.0, first=True)])


def test_only_the_owner_of_a_running_transfer_is_asked(open_store: Open) -> None:
    owner, other = open_store(), open_store()
    publish(owner, "see~a")
    publish(owner, "done", Snapshot(State.DONE, status=200))
    assert isinstance(owner, Counting)
    totals = Totals()
    totals.count_end(Snapshot(State.DONE, status=200), 1.0)
    owner.add_totals(totals)
    assert ask(other, "see~a") is State.RUNNING
    assert ask(other, "done") is State.DONE
    assert ask(other, "missing") is State.UNKNOWN
    if other is not owner:
        assert isinstance(other, Cancelling)
        assert list(other.to_cancel()) == []
    assert await_request(owner) == ToCancel("see~a", START)
    # A request is no entry, and the totals are no request.
    assert set(listed(other)) == {"see~a", "done"}
    assert look(other, "see~a") == RUNNING


def test_a_request_is_kept_for_some_seconds(redis_server: RedisServer) -> None:
    far = RedisStore(redis_server.url)
    publish(far, "a")
    ask(far, "a")
    (key,) = redis_server.command("KEYS", "*cancel*").splitlines()
    assert 0 < int(redis_server.command("PTTL", key)) <= KEPT * 1000
    far.close()
    now = 100.0
    memory = MemoryStore(lease=2 * KEPT, clock=lambda: now)
    publish(memory, "a")
    ask(memory, "a")
    now += KEPT - 1
    assert memory.to_cancel() == [ToCancel("a", START)]
    now += 1
    assert memory.to_cancel() == []


@pytest.fixture(params=["local", "redis"])
def trackers(request: pytest.FixtureRequest, redis_server: RedisServer) -> tuple[Tracker, Tracker]:
    """Two processes that share a store."""
    stores = [
        LocalStore("cancel") if request.param == "local" else RedisStore(redis_server.url)
        for _ in range(2)
    ]
    owner, other = (Tracker(Options(), store) for store in stores)
    return owner, other


def track(tracker: Tracker, identifier: str) -> Transfer:
    query = b"X-Progress-ID=" + identifier.encode()
    transfer = tracker.track("POST", query, None, 10)
    assert transfer is not None
    return transfer


def test_a_transfer_of_another_process_ends_within_a_second(
    trackers: tuple[Tracker, Tracker],
) -> None:
    owner, other = trackers
    cancelled, kept = track(owner, "cancelled"), track(owner, "kept")
    eventually(lambda: result(other.look("cancelled")).state is State.RUNNING)
    assert result(other.cancel("cancelled")) is Cancellation.ASKED
    eventually(lambda: cancelled.state is State.ERROR)
    eventually(lambda: result(other.look("cancelled"))[::5] == (State.ERROR, 0))
    assert kept.state is State.RUNNING
    assert result(other.cancel("cancelled")) is Cancellation.ENDED
    assert result(other.cancel("missing")) is Cancellation.UNKNOWN
    for tracker in trackers:
        tracker.close()


def test_a_later_transfer_with_the_id_goes_on(trackers: tuple[Tracker, Tracker]) -> None:
    owner, other = trackers
    store = owner.store
    assert isinstance(store, Cancelling)
    track(owner, "a")
    eventually(lambda: result(other.look("a")).state is State.RUNNING)
    owner._publisher._publications.running["a"].start += 1
    assert ask(other.store, "a") is State.RUNNING
    read: list[ToCancel] = []
    to_cancel = store.to_cancel

    def note() -> list[ToCancel]:
        found = list(to_cancel())
        read.extend(found)
        return found

    store.to_cancel = note
    eventually(lambda: read)
    assert owner.table.find("a") is not None
    assert owner.table.lookup("a").state is State.RUNNING
    for tracker in trackers:
        tracker.close()


def test_a_store_that_is_away_is_a_failure(own_redis: RedisServer) -> None:
    store = RedisStore(own_redis.url)
    tracker = Tracker(Options(), store)
    assert result(tracker.cancel("a")) is Cancellation.FAILED
    with pytest.raises(StoreError):
        store.to_cancel()
    tracker.close()
