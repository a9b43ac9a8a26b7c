from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import Future

import pytest

from mod_progress.stores.contract import StoreError
from mod_progress.stores.health import Health
from mod_progress.stores.redis import lookups
from mod_progress.stores.redis.lookups import LookupBatcher
from mod_progress.transfer import UNKNOWN, Snapshot, State
from tests.stores.store_servers import eventually

FOUND = Snapshot(State.RUNNING, 1)


class Far:
    """Something far away, whose road can be closed."""

    def __init__(self) -> None:
        self.open = threading.Event()
        self.open.set()
        self.there = True
        self.asked: list[Sequence[str]] = []

    def fetch(self, identifiers: Sequence[str]) -> list[Snapshot]:
        self.asked.append(identifiers)
        self.open.wait()
        if not self.there:
            raise StoreError("nobody is there")
        return [FOUND._replace(received=len(identifier)) for identifier in identifiers]


@pytest.fixture
def far() -> Far:
    return Far()


def lookup_threads() -> set[threading.Thread]:
    return {each for each in threading.enumerate() if each.name == "mod_progress lookups"}


@pytest.fixture
def batcher(far: Far, monkeypatch: pytest.MonkeyPatch) -> Iterator[LookupBatcher]:
    monkeypatch.setattr(lookups, "RETRY", 0.05)
    batcher = LookupBatcher(far.fetch, Health("far"))
    yield batcher
    far.open.set()
    batcher.close()
    eventually(lambda: not lookup_threads())


def future(batcher: LookupBatcher, identifier: str) -> Future[Snapshot]:
    found = batcher.lookup(identifier)
    assert isinstance(found, Future)
    return found


def test_what_is_asked_during_a_round_trip_makes_the_next_one(
    far: Far, batcher: LookupBatcher
) -> None:
    far.open.clear()
    first = future(batcher, "a")
    eventually(lambda: far.asked)
    others = [future(batcher, "b" * size) for size in range(2, 50)]
    far.open.set()
    assert first.result(timeout=10).received == 1
    assert [other.result(timeout=10).received for other in others] == [*range(2, 50)]
    assert [len(asked) for asked in far.asked] == [1, 48]


def test_lookups_of_one_and_of_many_share_a_round_trip(far: Far, batcher: LookupBatcher) -> None:
    far.open.clear()
    first = future(batcher, "a")
    eventually(lambda: far.asked)
    found = [batcher.lookup_many(each) for each in (["a", "bb"], [], ["ccc"])]
    last = future(batcher, "dddd")
    far.open.set()
    assert first.result(timeout=10).received == 1
    sizes = []
    for each in found:
        assert isinstance(each, Future)
        sizes.append([snapshot.received for snapshot in each.result(timeout=10)])
    assert sizes == [[1, 2], [], [3]]
    assert last.result(timeout=10).received == 4
    assert far.asked == [["a"], ["a", "bb", "ccc", "dddd"]]


def test_one_question_may_fill_a_round_trip(far: Far, batcher: LookupBatcher) -> None:
    far.open.clear()
    first = future(batcher, "a")
    eventually(lambda: far.asked)
    many = [batcher.lookup_many(["b"] * lookups.BATCH) for _ in range(2)]
    far.open.set()
    first.result(timeout=10)
    assert [len(each.result(timeout=10)) for each in many if isinstance(each, Future)] == [
        lookups.BATCH
    ] * 2
    assert [len(asked) for asked in far.asked] == [1, lookups.BATCH, lookups.BATCH]


def test_many_are_unknown_at_once_after_a_failure_and_within_a_second_before_it(
    far: Far, batcher: LookupBatcher
) -> None:
    far.open.clear()
    found = batcher.lookup_many(["a", "b"])
    assert isinstance(found, Future)
    assert found.result(timeout=10) == [UNKNOWN] * 2
    assert batcher.lookup_many(["a", "b", "c"]) == [UNKNOWN] * 3


def test_nobody_waits_longer_than_a_second(
    far: Far, batcher: LookupBatcher, caplog: pytest.LogCaptureFixture
) -> None:
    far.open.clear()
    futures = [future(batcher, "a") for _ in range(10)]
    assert [each.result(timeout=10) for each in futures] == [UNKNOWN] * 10
    assert batcher.lookup("a") == UNKNOWN
    assert len(caplog.records) == 1
    far.open.set()
    eventually(lambda: len(caplog.records) == 2)
    assert future(batcher, "a").result(timeout=10).received == 1


def test_after_a_failure_it_tries_again_by_itself(
    far: Far, batcher: LookupBatcher, caplog: pytest.LogCaptureFixture
) -> None:
    far.there = False
    assert future(batcher, "a").result(timeout=10) == UNKNOWN
    eventually(lambda: len(far.asked) > 3)
    assert batcher.lookup("a") == UNKNOWN
    assert len(caplog.records) == 1
    far.there = True
    eventually(lambda: isinstance(batcher.lookup("a"), Future))
    eventually(lambda: len(caplog.records) == 2)


def test_a_caller_cannot_cancel_what_others_wait_for(batcher: LookupBatcher) -> None:
    found = future(batcher, "a")
    assert not found.cancel()
    assert found.result(timeout=10).received == 1


def test_a_close_ends_the_threads_and_the_next_lookup_starts_new_ones(
    batcher: LookupBatcher,
) -> None:
    before = threading.active_count()
    for _ in range(3):
        assert future(batcher, "abc").result(timeout=10).received == 3
        batcher.close()
        eventually(lambda: threading.active_count() <= before)


def test_without_another_thread_it_is_unknown_until_there_is_one(
    far: Far, batcher: LookupBatcher, monkeypatch: pytest.MonkeyPatch
) -> None:
    start = threading.Thread.start
    left = 1

    def start_one(thread: threading.Thread) -> None:
        nonlocal left
        if not left:
            raise RuntimeError("can't start new thread")
        left -= 1
        start(thread)

    monkeypatch.setattr(threading.Thread, "start", start_one)
    for _ in range(3):
        assert batcher.lookup("a") == UNKNOWN
        assert batcher.lookup_many(["a", "b"]) == [UNKNOWN] * 2
    assert len(lookup_threads()) == 1
    left = 1
    assert future(batcher, "a").result(timeout=10).received == 1
    assert len(lookup_threads()) == 2


class Unexpected(Exception):
    """An exception that no author listed."""


def test_a_fetch_that_fails_unexpectedly_ends_no_thread(
    far: Far,
    batcher: LookupBatcher,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    assert future(batcher, "a").result(timeout=10).received == 1
    threads = lookup_threads()
    failures = 0

    def fail(identifiers: Sequence[str]) -> list[Snapshot]:
        nonlocal failures
        failures += 1
        raise Unexpected

    with monkeypatch.context() as patch:
        patch.setattr(batcher, "_fetch", fail)
        assert future(batcher, "a").result(timeout=10) == UNKNOWN
        eventually(lambda: failures > 3)
        assert batcher.lookup_many(["a", "b"]) == [UNKNOWN] * 2
    eventually(lambda: isinstance(batcher.lookup("a"), Future))
    assert future(batcher, "ab").result(timeout=10).received == 2
    assert lookup_threads() == threads
    assert [record.getMessage() for record in caplog.records] == [
        "lookups are answered with unknown; this is logged once",
        "store far: Unexpected; each process answers from its own table until it is back",
        "store far: it is back",
    ]


def test_a_fetch_that_returns_too_few_leaves_nobody_waiting(
    far: Far, batcher: LookupBatcher, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(batcher, "_fetch", lambda identifiers: [])
    found = batcher.lookup_many(["a", "b"])
    assert isinstance(found, Future)
    assert found.result(timeout=10) in ([], [UNKNOWN] * 2)
    assert future(batcher, "a").result(timeout=10) == UNKNOWN


@pytest.mark.parametrize("error", [Unexpected, KeyboardInterrupt, asyncio.CancelledError])
def test_a_callback_that_fails_ends_no_thread(
    batcher: LookupBatcher, error: type[BaseException]
) -> None:
    def fail(found: Future[Snapshot]) -> None:
        raise error

    assert future(batcher, "a").result(timeout=10).received == 1
    threads = lookup_threads()
    for _ in range(3):
        found = future(batcher, "ab")
        found.add_done_callback(fail)
        assert found.result(timeout=10).received == 2
    assert future(batcher, "abc").result(timeout=10).received == 3
    assert lookup_threads() == threads


@pytest.mark.parametrize("step", ["_next", "_failed", "_settle"])
def test_an_exception_anywhere_in_a_step_ends_no_thread(
    step: str, far: Far, batcher: LookupBatcher, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert future(batcher, "a").result(timeout=10).received == 1
    threads = lookup_threads()
    failures = 0

    def fail(*arguments: object) -> None:
        nonlocal failures
        failures += 1
        raise Unexpected

    far.there = False
    with monkeypatch.context() as patch:
        patch.setattr(LookupBatcher, step, fail)
        found = future(batcher, "a")
        if step != "_settle":
            assert found.result(timeout=10) == UNKNOWN
        eventually(lambda: failures)
    far.there = True

    def works() -> bool:
        found = batcher.lookup("abc")
        return isinstance(found, Future) and found.result(timeout=10).received == 3

    eventually(works)
    assert lookup_threads() == threads
