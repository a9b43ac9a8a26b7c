"""The thread that walks: what is shared, what is refused, and what does not end it."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import Future
from concurrent.futures import wait as wait_for

import pytest

from mod_progress.stores import walks
from mod_progress.stores.contract import StoreError
from mod_progress.stores.listing import Page, Query, Row
from mod_progress.stores.totals import Totals
from mod_progress.stores.walks import Walks
from mod_progress.transfer import Snapshot, State
from tests.stores.store_servers import eventually

ROW: Row = ("a", Snapshot(State.DONE), b"")


class Source:
    """A store whose walks wait until they may go on."""

    def __init__(self) -> None:
        self.walks = 0
        self.may_go_on = threading.Event()
        self.may_go_on.set()
        self.error: Exception | None = None

    def walk(self) -> Iterator[list[Row]]:
        self.walks += 1
        assert self.may_go_on.wait(20)
        if self.error is not None:
            raise self.error
        yield [ROW]
        yield [("b", Snapshot(State.DONE), b"")]


@pytest.fixture
def source() -> Iterator[Source]:
    source = Source()
    yield source
    source.may_go_on.set()


def result(future: Future[Page]) -> Page:
    return future.result(timeout=20)


def test_all_slices_of_a_walk_are_selected_from(source: Source) -> None:
    assert result(Walks(source.walk).page(Query())).total == 2


def test_who_asks_the_same_within_a_second_gets_the_same_page(
    source: Source, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(walks, "KEEP", 1000.0)
    listing = Walks(source.walk)
    first = result(listing.page(Query()))
    assert result(listing.page(Query())) is first
    assert source.walks == 1
    monkeypatch.setattr(walks, "KEEP", 0.0)
    other = Walks(source.walk)
    earlier = result(other.page(Query()))
    eventually(lambda: result(other.page(Query())) is not earlier)


def test_what_is_asked_during_a_walk_shares_the_next_one(source: Source) -> None:
    source.may_go_on.clear()
    listing = Walks(source.walk)
    asked = [listing.page(Query(limit=1))]
    eventually(lambda: source.walks)
    asked += [listing.page(Query(limit=limit)) for limit in (2, 3, 3)]
    source.may_go_on.set()
    assert [len(result(each).entries) for each in asked] == [1, 2, 2, 2]
    assert source.walks == 2


def test_the_thread_ends_when_nothing_is_asked(source: Source) -> None:
    result(Walks(source.walk).page(Query()))
    eventually(lambda: "mod_progress listing" not in {each.name for each in threading.enumerate()})


@pytest.mark.parametrize(
    ("error", "said", "logged"),
    [
        (StoreError("it is away"), "it is away", 0),
        (RuntimeError("nobody expected this"), "it cannot be listed", 1),
    ],
)
def test_a_fault_fails_the_question_and_no_later_one(
    source: Source, error: Exception, said: str, logged: int, caplog: pytest.LogCaptureFixture
) -> None:
    listing = Walks(source.walk)
    source.error = error
    for _ in range(2):
        with pytest.raises(StoreError, match=said):
            result(listing.page(Query()))
    assert len(caplog.records) == logged
    source.error = None
    assert result(listing.page(Query())).total == 2


def test_a_walk_that_takes_too_long_ends(source: Source, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(walks, "DEADLINE", 0.0)
    with pytest.raises(StoreError, match="takes more than 10 s"):
        result(Walks(source.walk).page(Query()))


def test_who_waits_for_a_walk_that_is_stuck_is_told_when_the_next_one_asks(
    source: Source, monkeypatch: pytest.MonkeyPatch
) -> None:
    source.may_go_on.clear()
    listing = Walks(source.walk)
    first = listing.page(Query())
    eventually(lambda: source.walks)
    monkeypatch.setattr(walks, "DEADLINE", 0.0)
    second = listing.page(Query())
    for each in first, second:
        with pytest.raises(StoreError, match="takes more than 10 s"):
            result(each)
    monkeypatch.setattr(walks, "DEADLINE", 1000.0)
    source.may_go_on.set()
    eventually(lambda: _works(listing))


def _works(listing: Walks) -> bool:
    try:
        return result(listing.page(Query())).total == 2
    except StoreError:
        return False


def test_a_callback_that_fails_ends_no_thread(source: Source) -> None:
    class Cancelled(BaseException):
        """As asyncio's is."""

    def fail(future: Future[Page]) -> None:
        raise Cancelled

    source.may_go_on.clear()
    listing = Walks(source.walk)
    asked = listing.page(Query())
    asked.add_done_callback(fail)
    source.may_go_on.set()
    wait_for([asked], timeout=20)
    assert result(listing.page(Query(limit=1))).total == 2


def test_without_another_thread_the_question_is_refused(
    source: Source, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    listing = Walks(source.walk)
    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", fail)
        with pytest.raises(StoreError, match="no more threads"):
            result(listing.page(Query()))
    assert result(listing.page(Query())).total == 2


def test_a_child_starts_anew(source: Source) -> None:
    """As a fork in the middle of a walk leaves it: without the thread."""
    source.may_go_on.clear()
    listing = Walks(source.walk)
    listing.page(Query())
    eventually(lambda: source.walks)
    listing.after_fork()
    source.may_go_on.set()
    assert result(listing.page(Query())).total == 2


def test_the_totals_are_those_of_the_moment_also_with_a_page_that_is_kept(
    source: Source, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(walks, "KEEP", 1000.0)
    totals = Totals()
    listing = Walks(source.walk, lambda: Totals(totals.numbers))
    before = result(listing.page(Query()))
    totals.count_end(Snapshot(State.DONE), 1.0)
    after = result(listing.page(Query()))
    assert source.walks == 1
    assert (bool(before.totals), bool(after.totals)) == (False, True)


def test_entries_are_listed_where_the_totals_cannot_be_read(source: Source) -> None:
    def fail() -> Totals:
        raise StoreError("it is not permitted")

    found = result(Walks(source.walk, fail).page(Query()))
    assert (found.total, found.totals) == (2, None)
