"""Exceptions that nobody expected are thrown into the publisher: it drops one transfer at most."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest

from mod_progress import fork, process_end
from mod_progress import publisher as publishers
from mod_progress.fault_log import FaultLog
from mod_progress.publisher import Publisher
from mod_progress.stores.contract import WRITE_TIMEOUT, PublishResult, StoreError, Update
from mod_progress.stores.lmdb.store import LocalStore
from mod_progress.stores.memory import MemoryStore
from mod_progress.table import LookupTable
from mod_progress.tracker import Tracker
from mod_progress.transfer import Snapshot, State, Transfer
from tests.snapshots import timeless
from tests.stores.store_servers import eventually


class Unexpected(Exception):
    """An exception that no author listed."""


class PoisonedStore(MemoryStore):
    """A store that raises for every batch with one of the poisonous ids."""

    near = False

    def __init__(self) -> None:
        super().__init__()
        self.poisonous: Callable[[str], bool] = lambda identifier: identifier.startswith("poison")
        self.calls = 0

    def publish(self, batch: Sequence[Update], timeout: float = WRITE_TIMEOUT) -> PublishResult:
        self.calls += 1
        if any(self.poisonous(update.identifier) for update in batch):
            raise Unexpected
        return super().publish(batch, timeout)


@pytest.fixture
def store() -> PoisonedStore:
    return PoisonedStore()


@pytest.fixture
def tracker(store: PoisonedStore) -> Iterator[Tracker]:
    tracker = Tracker(store=store)
    yield tracker
    tracker.close()


def track(tracker: Tracker, identifier: str, size: int | None = 1000) -> Transfer:
    transfer = tracker.track("POST", b"X-Progress-ID=" + identifier.encode(), None, size)
    assert transfer is not None
    return transfer


def publisher_thread(tracker: Tracker) -> threading.Thread:
    assert tracker._publisher is not None
    thread = tracker._publisher._thread
    assert thread is not None
    return thread


def state(store: MemoryStore, identifier: str) -> State:
    return store.lookup(identifier).state


def has_state(store: MemoryStore, identifier: str, expected: State) -> Callable[[], bool]:
    return lambda: state(store, identifier) is expected


def shown(tracker: Tracker, identifier: str) -> Snapshot:
    found = tracker.look(identifier)
    assert isinstance(found, Snapshot)
    return found


def messages(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records]


DROPPED = "a transfer is not published; this is logged once"


def test_a_request_size_beyond_all_bounds_is_a_size_like_any_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    store = LocalStore("bounds")
    tracker = Tracker(store=store)
    track(tracker, "huge", 2**63)
    track(tracker, "usual").delivered()
    eventually(lambda: store.lookup("usual").state is State.DONE)
    eventually(lambda: store.lookup("huge").request_size == 2**63 - 1)
    assert shown(tracker, "huge").state is State.RUNNING
    assert publisher_thread(tracker).is_alive()
    assert not caplog.records
    tracker.close()


def test_one_that_cannot_be_published_is_dropped_and_the_others_are_published(
    store: PoisonedStore, tracker: Tracker, caplog: pytest.LogCaptureFixture
) -> None:
    for number in range(3):
        track(tracker, f"poison{number}")
        track(tracker, f"before{number}").delivered()
    thread = publisher_thread(tracker)
    for number in range(3):
        eventually(has_state(store, f"before{number}", State.DONE))
        assert state(store, f"poison{number}") is State.UNKNOWN
        assert shown(tracker, f"poison{number}").state is State.RUNNING
    running = track(tracker, "after")
    running.received = 7
    eventually(lambda: store.lookup("after").received == 7)
    assert publisher_thread(tracker) is thread
    assert messages(caplog) == [DROPPED]


def test_a_dropped_one_costs_nothing_more(store: PoisonedStore, tracker: Tracker) -> None:
    poison = track(tracker, "poison")
    track(tracker, "other").delivered()
    eventually(lambda: state(store, "other") is State.DONE)
    calls = store.calls
    poison.received = 10
    poison.delivered()
    track(tracker, "last").delivered()
    eventually(lambda: state(store, "last") is State.DONE)
    assert store.calls == calls + 1
    assert shown(tracker, "poison").state is State.DONE


def test_an_end_that_cannot_be_published_is_shown_by_its_own_process(
    store: PoisonedStore, tracker: Tracker
) -> None:
    track(tracker, "poison").delivered()
    track(tracker, "other").delivered()
    eventually(lambda: state(store, "other") is State.DONE)
    eventually(lambda: shown(tracker, "poison").state is State.DONE)


def test_a_store_that_refuses_everything_is_asked_again_for_the_next_transfer(
    store: PoisonedStore, tracker: Tracker, caplog: pytest.LogCaptureFixture
) -> None:
    store.poisonous = lambda identifier: True
    for number in range(5):
        track(tracker, f"id{number}")
    eventually(lambda: caplog.records)
    thread = publisher_thread(tracker)
    store.poisonous = lambda identifier: False
    track(tracker, "next").delivered()
    eventually(lambda: state(store, "next") is State.DONE)
    assert publisher_thread(tracker) is thread
    assert messages(caplog) == [DROPPED]


def test_a_transfer_that_cannot_be_asked_is_dropped_and_shown_as_far_as_it_is_known(
    store: PoisonedStore,
    tracker: Tracker,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    snapshot = Transfer.snapshot

    def fail(asked: Transfer, sample: bool = True) -> Snapshot:
        if asked is transfer and sample:
            raise Unexpected
        return snapshot(asked, sample)

    transfer = track(tracker, "a")
    monkeypatch.setattr(Transfer, "snapshot", fail)
    transfer.received = 1000
    moving = track(tracker, "b")
    eventually(lambda: DROPPED in messages(caplog))
    assert timeless(shown(tracker, "a")) == Snapshot(State.RUNNING, 1000, 0, 1000)
    moving.received = 5
    eventually(lambda: store.lookup("b").received == 5)
    assert len(caplog.records) == 2


def test_a_poisonous_end_among_those_repeated_for_an_emptied_store_is_left_out(
    store: PoisonedStore, tracker: Tracker, caplog: pytest.LogCaptureFixture
) -> None:
    track(tracker, "good").delivered()
    track(tracker, "bad").delivered()
    eventually(lambda: state(store, "bad") is state(store, "good") is State.DONE)
    assert tracker._publisher is not None
    with tracker._publisher._working:
        store.after_fork()  # it is empty now
        store.poisonous = lambda identifier: identifier == "bad"
        tracker._publisher._emptied = True
    track(tracker, "next")
    eventually(lambda: state(store, "good") is State.DONE)
    eventually(lambda: caplog.records)
    assert state(store, "bad") is State.UNKNOWN
    assert messages(caplog) == [DROPPED]


@pytest.mark.parametrize("step", ["_enter", "_look", "_snapshots", "_publish", "_wait"])
def test_an_exception_anywhere_in_a_round_ends_no_thread(
    step: str,
    store: PoisonedStore,
    tracker: Tracker,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    first = track(tracker, "first")
    eventually(lambda: state(store, "first") is State.RUNNING)
    thread = publisher_thread(tracker)
    failures = 0

    def fail(*arguments: object, **named: object) -> None:
        nonlocal failures
        failures += 1
        raise Unexpected

    with monkeypatch.context() as patch:
        patch.setattr(publishers.Publisher, step, fail)
        track(tracker, "during")
        eventually(lambda: failures >= 1)
    track(tracker, "after").delivered()
    first.received = 9
    eventually(lambda: state(store, "after") is State.DONE)
    eventually(lambda: store.lookup("first").received == 9)
    assert publisher_thread(tracker) is thread
    # Publishers of other tests may still be there, and each says so once.
    assert set(messages(caplog)) == {"transfers are published late; this is logged once"}


def test_a_show_fails_at_nothing(tracker: Tracker, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*arguments: object) -> None:
        raise Unexpected

    transfer = track(tracker, "a")
    transfer.received = 4
    monkeypatch.setattr(publishers.Publisher, "_publish_and_show", fail)
    assert shown(tracker, "a").received == 4


def test_at_the_end_of_the_process_one_that_fails_does_not_stop_the_others(
    store: PoisonedStore, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    table = LookupTable(30.0)
    publisher = Publisher(store, table)
    table.on_end = publisher.ended
    others = [Publisher(MemoryStore(), LookupTable(30.0)) for _ in range(4)]
    close = Publisher.close

    def fail(closed: Publisher) -> None:
        if closed in others:
            raise Unexpected
        close(closed)

    monkeypatch.setattr(Publisher, "close", fail)
    monkeypatch.setattr(fork, "_faults", FaultLog())
    transfer = table.register("a", 0)
    assert transfer is not None
    publisher.started(transfer)
    transfer.delivered()
    process_end.close_all()
    assert state(store, "a") is State.DONE
    assert len(caplog.records) == 1


_EXIT = """
import sys
from mod_progress.stores.lmdb.store import LocalStore
from mod_progress.stores.memory import MemoryStore
from mod_progress.tracker import Tracker

class Refusing(MemoryStore):
    near = False
    def publish(self, batch, timeout=1.0):
        raise RuntimeError("nobody expected this")

for store in Refusing(), LocalStore("exit"), Refusing():
    tracker = Tracker(store=store)
    tracker.track("POST", b"X-Progress-ID=a", None, 10).delivered()
"""


def test_a_process_whose_store_refuses_everything_ends_as_usual(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    done = subprocess.run([sys.executable, "-c", _EXIT], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0
    assert LocalStore("exit").lookup("a").state is State.DONE


def test_a_store_that_goes_while_updates_are_tried_one_by_one_is_away(
    store: PoisonedStore, tracker: Tracker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(publishers, "RETRY", 0.05)
    away = True
    attempts = 0
    publish = store.publish

    def break_down(batch: Sequence[Update], timeout: float = WRITE_TIMEOUT) -> PublishResult:
        nonlocal attempts
        if len(batch) == 1 and away:
            attempts += 1
            raise StoreError
        return publish(batch, timeout)

    monkeypatch.setattr(store, "publish", break_down)
    for identifier in "poison", "good", "other":
        track(tracker, identifier).delivered()
    eventually(lambda: attempts)
    away = False
    eventually(lambda: state(store, "good") is state(store, "other") is State.DONE)
