"""The ticker's own thread, with real transfers; watchers of the test's own."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from functools import partial
from itertools import count, pairwise
from typing import Any

import pytest

from mod_progress.show import ticker as module
from mod_progress.show.ticker import SHARE, Reading, Ticker, Watcher, make_tag
from mod_progress.shutdown import Shutdown
from mod_progress.stores.memory import MemoryStore
from mod_progress.tracker import Tracker
from mod_progress.transfer import UNKNOWN, Snapshot, State, Transfer
from tests.gateway.running import eventually
from tests.snapshots import timeless


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "TICK", 0.01)
    monkeypatch.setattr(module, "LINGER", 0.05)


@pytest.fixture
def tracker() -> Tracker:
    return Tracker()


@pytest.fixture
def ticker(tracker: Tracker) -> Iterator[Ticker]:
    ticker = Ticker(tracker)
    yield ticker
    ticker.end()
    for watcher in list(ticker._watchers):
        ticker.leave(watcher)
    eventually(lambda: ticker._thread is None)


class Witness(Watcher):
    """Keeps what each of its topics was at each call."""

    def __init__(self, ticker: Ticker, *identifiers: str, **arguments: Any) -> None:
        super().__init__(**arguments)
        self.ticker = ticker
        self.seen: list[tuple[Snapshot | None, ...]] = []
        ticker.watch(self, identifiers)

    def wake(self) -> None:
        self.due = False
        readings = [topic.reading for topic in self.topics]
        self.seen.append(tuple(timeless(each.snapshot) if each else None for each in readings))
        if self.ticker.ending:
            self.ticker.leave(self)

    @property
    def last(self) -> Snapshot | None:
        return self.seen[-1][-1] if self.seen else None

    def sees(self, received: int) -> bool:
        return self.last is not None and self.last.received == received


def track(tracker: Tracker, identifier: str = "a", size: int = 100) -> Transfer:
    transfer = tracker.track("POST", f"X-Progress-ID={identifier}".encode(), None, size)
    assert transfer is not None
    return transfer


def test_a_watcher_sees_every_state(tracker: Tracker, ticker: Ticker) -> None:
    witness = Witness(ticker, "a")
    eventually(lambda: witness.last == UNKNOWN)
    transfer = track(tracker)
    eventually(lambda: witness.last == Snapshot(State.RUNNING, request_size=100))
    transfer.received = 50
    eventually(lambda: witness.last == Snapshot(State.RUNNING, 50, request_size=100))
    transfer.received = 100
    transfer.response_started(200, 0)
    transfer.delivered()
    eventually(lambda: witness.last == Snapshot(State.DONE, 100, request_size=100, status=200))


def test_a_watcher_is_not_woken_while_nothing_moves(tracker: Tracker, ticker: Ticker) -> None:
    track(tracker)
    still, other = Witness(ticker, "a"), Witness(ticker, "b")
    eventually(lambda: still.seen and other.seen)
    moving = track(tracker, "b")
    for received in range(1, 6):
        moving.received = received
        eventually(partial(other.sees, received))
    assert len(still.seen) == 1


def test_a_watcher_of_several_is_woken_by_each(tracker: Tracker, ticker: Ticker) -> None:
    witness = Witness(ticker, "a", "b")
    eventually(lambda: witness.seen == [(UNKNOWN, UNKNOWN)])
    track(tracker, "b")
    eventually(lambda: witness.last == Snapshot(State.RUNNING, request_size=100))
    track(tracker, "a", 7)
    eventually(lambda: witness.seen[-1][0] == Snapshot(State.RUNNING, request_size=7))


class CountingStore(MemoryStore):
    """Counts what it is asked."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[list[str]] = []

    def lookup_many(self, identifiers: Sequence[str]) -> list[Snapshot]:
        self.asked.append(list(identifiers))
        return super().lookup_many(identifiers)


def test_many_watchers_cost_one_lookup_a_tick() -> None:
    store = CountingStore()
    ticker = Ticker(Tracker(store=store))
    witnesses = [Witness(ticker, "one") for _ in range(1000)]
    witnesses += [Witness(ticker, f"of-another-{number}") for number in range(1000)]
    eventually(lambda: all(each.seen for each in witnesses))
    store.asked.clear()
    eventually(lambda: len(store.asked) >= 3)
    for asked in store.asked:
        assert len(asked) == len(set(asked)) == 1001
    ticker.end()


def test_a_watcher_that_is_awake_is_not_woken_again(tracker: Tracker, ticker: Ticker) -> None:
    """Whoever does not read misses what is outdated."""

    class Sleeper(Witness):
        def wake(self) -> None:
            super().wake()
            self.due = True  # as long as nothing was taken

    transfer = track(tracker)
    sleeper, other = Sleeper(ticker, "a"), Witness(ticker, "a")
    for received in range(1, 6):
        transfer.received = received
        eventually(partial(other.sees, received))
    assert len(sleeper.seen) == 1
    sleeper.due = False
    transfer.received = 99
    eventually(partial(sleeper.sees, 99))
    assert len(sleeper.seen) == 2


def test_a_time_comes_though_nothing_moves(ticker: Ticker) -> None:
    witness = Witness(ticker, "a")
    eventually(lambda: len(witness.seen) == 1)
    witness.time = ticker.clock() + 0.02
    eventually(lambda: len(witness.seen) == 2)
    witness.time = float("inf")


def test_who_leaves_is_not_woken_and_leaves_nothing(tracker: Tracker, ticker: Ticker) -> None:
    leaver, stayer = Witness(ticker, "a", "b"), Witness(ticker, "a")
    eventually(lambda: leaver.seen and stayer.seen)
    ticker.leave(leaver)
    ticker.leave(leaver)
    transfer = track(tracker)
    transfer.received = 1
    eventually(partial(stayer.sees, 1))
    assert len(leaver.seen) == 1
    assert ticker._watchers == {stayer}
    assert set(ticker._topics) == {"a"}


def test_the_thread_ends_when_nobody_watches_and_begins_again(ticker: Ticker) -> None:
    for _ in range(2):
        witness = Witness(ticker, "a")
        eventually(partial(witness.seen.__len__))
        ticker.leave(witness)
        eventually(lambda: ticker._thread is None)


def test_the_end_wakes_all_and_those_who_come_after_it(ticker: Ticker) -> None:
    witness = Witness(ticker, "a")
    eventually(lambda: witness.seen)
    ticker.end()
    eventually(lambda: not ticker._watchers)
    late = Witness(ticker, "a")
    eventually(lambda: late.seen and not ticker._watchers)


def test_a_server_that_ends_ends_the_watchers(tracker: Tracker) -> None:
    shutdown = Shutdown()
    ticker = Ticker(tracker, shutdown)
    witness = Witness(ticker, "a")
    eventually(lambda: witness.seen)
    assert not ticker.ending
    shutdown.note()
    eventually(lambda: not ticker._watchers)


def test_watchers_are_woken_in_their_own_thread_by_one_call(tracker: Tracker) -> None:
    calls: list[Callable[[], object]] = []
    ticker = Ticker(tracker)
    witnesses = [Witness(ticker, "a", post=calls.append) for _ in range(3)]
    eventually(lambda: all(each.due for each in witnesses))
    assert not any(each.seen for each in witnesses)
    while calls:
        calls.pop(0)()
    assert all(each.seen == [(UNKNOWN,)] for each in witnesses)
    ticker.end()
    while calls:
        calls.pop(0)()


def test_watchers_of_an_event_loop_that_has_ended_are_dropped(ticker: Ticker) -> None:
    def post(call: Callable[[], object]) -> None:
        raise RuntimeError("Event loop is closed")

    Witness(ticker, "a", post=post)
    stayer = Witness(ticker, "a")
    eventually(lambda: ticker._watchers == {stayer})


def test_a_watcher_that_fails_is_dropped_and_the_others_go_on(
    tracker: Tracker, ticker: Ticker, caplog: pytest.LogCaptureFixture
) -> None:
    class Failing(Witness):
        def wake(self) -> None:
            raise ZeroDivisionError

    failing, other = Failing(ticker, "a"), Witness(ticker, "a")
    eventually(lambda: other.seen and failing not in ticker._watchers)
    track(tracker)
    eventually(lambda: other.last == Snapshot(State.RUNNING, request_size=100))
    assert caplog.messages == ["a watcher is dropped; this is logged once"]


def test_the_thread_goes_on_after_whatever_a_lookup_raises(
    tracker: Tracker,
    ticker: Ticker,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    calls: list[object] = []

    def fail(identifiers: Sequence[str]) -> list[Snapshot]:
        calls.append(identifiers)
        raise ZeroDivisionError

    with monkeypatch.context() as broken:
        broken.setattr(tracker, "look_many", fail)
        witness = Witness(ticker, "a")
        eventually(lambda: len(calls) > 3)
    eventually(lambda: witness.last == UNKNOWN)
    assert caplog.messages == ["watchers were not woken; this is logged once"]


def test_a_store_that_is_far_is_waited_for(tracker: Tracker, monkeypatch: Any) -> None:
    answers: list[Future[list[Snapshot]]] = []

    def later(identifiers: Sequence[str]) -> Future[list[Snapshot]]:
        answers.append(Future())
        return answers[-1]

    monkeypatch.setattr(tracker, "look_many", later)
    ticker = Ticker(tracker)
    witness = Witness(ticker, "a")
    eventually(lambda: answers)
    assert not witness.seen
    answers[0].set_result([Snapshot(State.RUNNING, 7)])
    eventually(lambda: witness.last == Snapshot(State.RUNNING, 7) and len(answers) > 1)
    monkeypatch.setattr(tracker, "look_many", lambda _: [UNKNOWN])
    ticker.end()
    answers[-1].set_result([UNKNOWN])


def test_without_another_thread_a_watcher_ends_at_once(
    ticker: Ticker, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", fail)
    witness = Witness(ticker, "a")
    assert witness.seen == [(None,)]
    assert witness.until == 0
    ticker.leave(witness)


def test_a_fork_leaves_the_watchers_to_the_parent(ticker: Ticker) -> None:
    Witness(ticker, "a")
    ticker.after_fork()
    assert not ticker._watchers
    assert ticker._thread is None


def test_readings() -> None:
    running = Reading(Snapshot(State.RUNNING, 1))
    assert not running.final
    assert Reading(Snapshot(State.DONE)).final
    assert Reading(Snapshot(State.ERROR)).final
    assert not Reading(UNKNOWN).final
    assert running.tag == Reading(Snapshot(State.RUNNING, 1)).tag
    assert running.tag != Reading(Snapshot(State.RUNNING, 2)).tag
    assert make_tag(b"a", b"b") != make_tag(b"b", b"a")


def test_what_costs_much_is_done_less_often(
    tracker: Tracker, ticker: Ticker, monkeypatch: pytest.MonkeyPatch
) -> None:
    hundredths = count()
    monkeypatch.setattr(time, "thread_time", lambda: next(hundredths) / 100)
    looks: list[float] = []

    def look(identifiers: Sequence[str]) -> list[Snapshot]:
        looks.append(ticker.clock())
        return [UNKNOWN for _ in identifiers]

    monkeypatch.setattr(tracker, "look_many", look)
    Witness(ticker, "a")
    eventually(lambda: len(looks) >= 4)
    assert all(later - earlier > 0.01 / SHARE / 2 for earlier, later in pairwise(looks[1:]))
