from __future__ import annotations

import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest

from mod_progress import publisher as publishers
from mod_progress.options import Options
from mod_progress.stores.contract import WRITE_TIMEOUT, PublishResult, Update
from mod_progress.stores.listing import Query
from mod_progress.stores.lmdb.store import LocalStore
from mod_progress.tracker import Tracker
from mod_progress.transfer import UNKNOWN, Snapshot, State, Transfer
from tests.snapshots import timeless
from tests.stores.store_servers import eventually, page

Open = Callable[..., Tracker]


@pytest.fixture(autouse=True)
def _own_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The stores of a test lie in its own directory."""
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))


@pytest.fixture
def open_tracker() -> Iterator[Open]:
    """Opens a tracker; each is as another process has it, over one local store."""
    opened: list[Tracker] = []

    def opens(ttl: float = 30.0) -> Tracker:
        tracker = Tracker(Options(ttl=ttl), LocalStore("publisher"))
        opened.append(tracker)
        return tracker

    yield opens
    for tracker in opened:
        tracker.close()


def track(tracker: Tracker, identifier: str = "a", size: int | None = 1000) -> Transfer:
    transfer = tracker.track("POST", b"X-Progress-ID=" + identifier.encode(), None, size)
    assert transfer is not None
    return transfer


def look(tracker: Tracker, identifier: str) -> Snapshot:
    found = tracker.look(identifier)
    assert isinstance(found, Snapshot)
    return found


def sees(tracker: Tracker, identifier: str = "a", **members: object) -> Callable[[], bool]:
    def matches() -> bool:
        found = look(tracker, identifier)
        return all(getattr(found, name) == value for name, value in members.items())

    return matches


def publisher_threads() -> set[threading.Thread]:
    return {each for each in threading.enumerate() if each.name == "mod_progress publisher"}


def test_another_process_sees_a_transfer_from_start_to_end(open_tracker: Open) -> None:
    mine, other = open_tracker(), open_tracker()
    transfer = track(mine)
    eventually(sees(other, state=State.RUNNING, received=0, request_size=1000))
    transfer.received = 1
    eventually(sees(other, state=State.RUNNING, received=1))
    transfer.response_started(204, 0)
    transfer.delivered()
    eventually(sees(other, state=State.DONE, received=1))


def test_a_refused_and_a_cut_one_are_errors_elsewhere(open_tracker: Open) -> None:
    mine, other = open_tracker(), open_tracker()
    refused, cut = track(mine, "refused"), track(mine, "cut")
    refused.response_started(413, 0)
    refused.delivered()
    cut.cut()
    eventually(sees(other, "refused", state=State.ERROR, status=413))
    eventually(sees(other, "cut", state=State.ERROR, status=0))


def test_no_ttl_leaves_nothing_behind(open_tracker: Open) -> None:
    mine, other = open_tracker(ttl=0), open_tracker(ttl=0)
    transfer = track(mine)
    eventually(sees(other, state=State.RUNNING))
    transfer.delivered()
    eventually(sees(other, state=State.UNKNOWN))


def test_the_end_is_never_followed_by_a_running_answer(open_tracker: Open) -> None:
    tracker = open_tracker()
    for number in range(50):
        identifier = f"id{number}"
        transfer = track(tracker, identifier)
        if number % 2:
            eventually(sees(tracker, identifier, state=State.RUNNING))
        transfer.delivered()
        eventually(sees(tracker, identifier, state=State.DONE))
        assert {look(tracker, identifier).state for _ in range(200)} == {State.DONE}


def test_a_later_transfer_elsewhere_takes_the_id_over(open_tracker: Open) -> None:
    first, second, third = open_tracker(), open_tracker(), open_tracker()
    loser = track(first)
    loser.received = 10
    eventually(sees(third, received=10))
    winner = track(second)
    winner.received = 20
    eventually(sees(third, received=20))
    eventually(lambda: not first.table.runs(loser))
    loser.received = 1000
    loser.delivered()
    eventually(sees(first, state=State.RUNNING, received=20))
    winner.response_started(507, 0)
    winner.delivered()
    for tracker in first, second, third:
        eventually(sees(tracker, state=State.ERROR, status=507))


def test_one_that_finished_here_may_be_taken_over_elsewhere(open_tracker: Open) -> None:
    """A client tries again with the same id, and reaches another worker."""
    first, second = open_tracker(), open_tracker()
    track(first).cut()
    eventually(sees(first, state=State.ERROR))
    track(second).received = 500
    eventually(sees(first, state=State.RUNNING, received=500))


def test_an_id_used_again_in_this_process_is_the_newer_one_elsewhere(open_tracker: Open) -> None:
    mine, other = open_tracker(), open_tracker()
    old = track(mine)
    new = track(mine)
    new.received = 7
    old.delivered()
    eventually(sees(other, state=State.RUNNING, received=7))
    new.delivered()
    track(mine).received = 9
    eventually(sees(other, state=State.RUNNING, received=9))


def test_the_thread_comes_with_the_first_transfer_and_goes_after_the_last(
    open_tracker: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(publishers, "IDLE", 0.05)
    others = publisher_threads()  # those of other tests may end meanwhile
    tracker, other = open_tracker(), open_tracker()
    assert not publisher_threads() - others
    for number in range(3):
        transfer = track(tracker, f"id{number}")
        (thread,) = publisher_threads() - others
        assert thread.daemon
        transfer.delivered()
        eventually(lambda: not publisher_threads() - others)
        assert sees(other, f"id{number}", state=State.DONE)()


def test_many_short_transfers_of_many_threads_all_arrive(
    open_tracker: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The thread goes and comes between them."""
    monkeypatch.setattr(publishers, "IDLE", 0.0)
    monkeypatch.setattr(publishers, "COLLECT", 0.0)
    tracker, other = open_tracker(), open_tracker()

    def work(worker: int) -> None:
        for number in range(200):
            track(tracker, f"id{worker}.{number}").delivered()

    threads = [threading.Thread(target=work, args=(worker,)) for worker in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for worker in range(4):
        for number in range(200):
            eventually(sees(other, f"id{worker}.{number}", state=State.DONE))


def test_a_close_publishes_the_last_end_and_cuts_what_runs(open_tracker: Open) -> None:
    tracker, other = open_tracker(), open_tracker()
    track(tracker, "ended").delivered()
    track(tracker, "runs").received = 5
    tracker.close()
    assert sees(other, "ended", state=State.DONE)()
    assert sees(other, "runs", state=State.ERROR, status=0)()
    track(tracker, "again").delivered()
    eventually(sees(other, "again", state=State.DONE))


def test_a_close_looks_once_more_whether_the_client_has_it_all(open_tracker: Open) -> None:
    tracker, other = open_tracker(), open_tracker()
    transfer = track(tracker)
    transfer.response_started(200, 0)

    def acknowledged() -> int:
        transfer.delivered()
        return 0

    eventually(sees(other, state=State.RUNNING))
    transfer.unacknowledged = acknowledged
    tracker.close()
    assert sees(other, state=State.DONE)()


def test_what_the_store_lost_is_published_again(open_tracker: Open) -> None:
    """Here by another process that finds the store full, and starts it over."""
    mine, other = open_tracker(), open_tracker()
    track(mine).received = 5
    eventually(sees(other, received=5))
    store = LocalStore("publisher")
    store._open().start_over()
    assert store.lookup("a") == UNKNOWN
    eventually(sees(other, state=State.RUNNING, received=5))


def test_the_details_are_published_and_published_again(open_tracker: Open) -> None:
    tracker, before = open_tracker(), time.time()

    def track_at(path: str) -> Transfer:
        query = b"X-Progress-ID=" + path.encode()
        found = tracker.track("POST", query, None, 10, path=f"/of{path}", peer="192.0.2.7")
        assert found is not None
        return found

    def are_listed() -> bool:
        entries = page(LocalStore("publisher"), Query()).entries
        found = {each.details for each in entries}
        return found == {("POST", "/ofruns", "192.0.2.7"), ("POST", "/ofover", "192.0.2.7")}

    track_at("runs")
    track_at("over").delivered()
    eventually(are_listed)
    LocalStore("publisher")._open().start_over()
    eventually(are_listed)
    starts = [each.snapshot.started for each in page(LocalStore("publisher"), Query()).entries]
    assert all(before - 1 <= start / 1e9 <= time.time() for start in starts)


def test_without_a_store_nothing_runs() -> None:
    before = threading.active_count()
    tracker = Tracker()
    track(tracker).delivered()
    assert look(tracker, "a").state is State.DONE
    assert look(tracker, "b") is UNKNOWN
    assert threading.active_count() == before
    tracker.close()


def test_a_show_right_after_the_start_leaves_the_publisher_its_work(open_tracker: Open) -> None:
    mine, other = open_tracker(), open_tracker()
    publisher = mine._publisher
    assert publisher is not None
    for number in range(5):
        transfer = track(mine, f"id{number}")
        assert sees(mine, f"id{number}", state=State.RUNNING)()
        transfer.received = 7
        eventually(sees(other, f"id{number}", received=7), seconds=publishers.IDLE / 2)
        transfer.delivered()
        eventually(lambda: not publisher._publications.running)


class SlowStore(LocalStore):
    """It writes nothing until it may."""

    def __init__(self) -> None:
        super().__init__("publisher")
        self.asked, self.permitted = threading.Event(), threading.Event()

    def publish(self, batch: Sequence[Update], timeout: float = WRITE_TIMEOUT) -> PublishResult:
        self.asked.set()
        self.permitted.wait()
        return super().publish(batch, timeout)


def test_nobody_is_told_more_than_the_first_update_will_say(open_tracker: Open) -> None:
    store, other = SlowStore(), open_tracker()
    mine = Tracker(Options(), store)
    transfer = track(mine)
    assert store.asked.wait(10)
    transfer.received = 7
    # The first update has no byte yet. Once it is written, another process tells that.
    assert timeless(look(mine, "a")) == Snapshot(State.RUNNING, request_size=1000)
    store.permitted.set()
    eventually(sees(mine, received=7))
    eventually(sees(other, received=7))
    mine.close()


IMPORT = """
from mod_progress.stores.contract import WRITE_TIMEOUT, PublishResult, Update
from mod_progress.stores.lmdb.store import LocalStore
from mod_progress.tracker import Tracker
"""
PATCH = """
from gevent import monkey
monkey.patch_all()
"""
TRACK = """
tracker = Tracker(None, LocalStore("gevent"))
for identifier in b"ab":
    tracker.track("POST", b"X-Progress-ID=%d" % identifier, None, 0)
"""


@pytest.mark.parametrize("late", [True, False])
def test_patching_too_late_is_said_once(late: bool) -> None:
    code = IMPORT + PATCH + TRACK if late else PATCH + IMPORT + TRACK
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.stderr.count("patch first") == late
    assert done.returncode == 0
