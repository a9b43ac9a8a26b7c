from __future__ import annotations

import pytest

from mod_progress.stores.contract import Update
from mod_progress.stores.memory import MemoryStore
from mod_progress.transfer import UNKNOWN, Snapshot, State
from tests.clock import Clock
from tests.stores.store_servers import listed

RUNNING = Snapshot(State.RUNNING, 50, 7, 100, 7, 200)
DONE = Snapshot(State.DONE, 100, 20, 100, 20, 200)


@pytest.fixture
def clock() -> Clock:
    return Clock()


def update(identifier: str, snapshot: Snapshot = DONE, ttl: float = 30.0) -> Update:
    return Update(identifier, 1, snapshot, ttl, first=True)


def test_beyond_the_capacity_the_oldest_finished_leave_first() -> None:
    store = MemoryStore(capacity=3)
    store.publish([update("runs", RUNNING), update("a"), update("b"), update("c"), update("d")])
    assert listed(store).keys() == {"runs", "c", "d"}


def test_running_ones_are_never_dropped() -> None:
    store = MemoryStore(capacity=2)
    store.publish([update(name, RUNNING) for name in "abcd"])
    store.publish([update("e")])
    assert listed(store).keys() == set("abcd")


@pytest.mark.parametrize(
    ("seconds", "running", "done"),
    [
        (0.0, RUNNING, DONE),
        (5.9, RUNNING, DONE),
        (6.0, RUNNING._replace(state=State.ERROR, status=0), DONE),
        (9.9, RUNNING._replace(state=State.ERROR, status=0), DONE),
        (10.0, RUNNING._replace(state=State.ERROR, status=0), UNKNOWN),
        (15.9, RUNNING._replace(state=State.ERROR, status=0), UNKNOWN),
        (16.0, UNKNOWN, UNKNOWN),
    ],
)
def test_the_times_of_an_entry(
    clock: Clock, seconds: float, running: Snapshot, done: Snapshot
) -> None:
    store = MemoryStore(lease=6.0, clock=clock)
    store.publish([update("a", RUNNING, ttl=10.0), update("b", DONE, ttl=10.0)])
    clock.now += seconds
    assert (store.lookup("a"), store.lookup("b")) == (running, done)


def test_what_is_over_is_swept(clock: Clock) -> None:
    store = MemoryStore(capacity=1000, clock=clock)
    store.publish([update(f"{number}", ttl=1.0) for number in range(100)])
    clock.now += 2.0
    store.publish([update("new") for _ in range(60)])
    clock.now -= 2.0  # what was not swept would show
    assert listed(store).keys() == {"new"}
