"""The totals in a local store: transfers whose process died count once."""

from __future__ import annotations

from collections.abc import Iterator
from types import SimpleNamespace

import pytest

from mod_progress.stores.contract import Update
from mod_progress.stores.listing import Query
from mod_progress.stores.lmdb import store as stores
from mod_progress.stores.lmdb.store import LocalStore
from mod_progress.transfer import Snapshot, State
from tests.clock import Clock
from tests.stores.store_servers import page
from tests.stores.test_totals import ends

RUNNING = Snapshot(State.RUNNING, 50, 7, 100, 7, 200)
DONE = RUNNING._replace(state=State.DONE)
SECOND = 1_000_000_000


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    nanoseconds = SimpleNamespace(monotonic_ns=lambda: int(clock() * 1e9))
    monkeypatch.setattr(stores, "time", nanoseconds)
    monkeypatch.setattr("mod_progress.stores.walks.KEEP", 0.0)
    return clock


@pytest.fixture
def store(clock: Clock) -> Iterator[LocalStore]:
    store = LocalStore("totals", lease=6.0)
    yield store
    store.close()


def totals_of(store: LocalStore) -> dict[str, int]:
    found = page(store, Query(limit=1)).totals
    assert found is not None
    return ends(found)


def update(
    identifier: str, snapshot: Snapshot = RUNNING, start: int = 990, first: bool = True
) -> Update:
    return Update(identifier, start * SECOND, snapshot, 30.0, first)


def test_an_entry_that_lapsed_counts_when_it_is_removed(store: LocalStore, clock: Clock) -> None:
    store.publish([update("dead"), update("done", DONE)])
    clock.now += 10
    assert store.lookup("dead").state is State.ERROR
    assert totals_of(store) == {}
    clock.now += 100
    for number in range(5):
        store.publish([update(f"other{number}")])
    assert totals_of(store) == {"upload error": 1}
    found = page(store, Query(limit=1)).totals
    assert found is not None
    assert found.seconds == 16.0  # from the start to the end of the lease


def test_an_entry_that_lapsed_counts_when_its_id_is_taken_over(
    store: LocalStore, clock: Clock
) -> None:
    store.publish([update("a")])
    clock.now += 10
    store.publish([update("a", start=1005)])
    assert totals_of(store) == {"upload error": 1}
    # The owner that is alive takes over, renews and ends its own: no end of another one.
    store.publish([update("a", start=1006)])
    clock.now += 10
    store.publish([update("a", start=1006, first=False)])
    store.publish([update("a", DONE, start=1006, first=False)])
    clock.now += 100
    for number in range(5):
        store.publish([update(f"other{number}")])
    assert totals_of(store) == {"upload error": 1}
