"""Forks, spawned processes, exits and kills, over the stores that processes share."""

from __future__ import annotations

import multiprocessing
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from mod_progress.stores import open_store
from mod_progress.tracker import Tracker
from mod_progress.transfer import Snapshot, State, Transfer
from tests.stores.store_servers import RedisServer, eventually, look

#: Seconds within which the transfers of a killed process must read as errors.
TO_NOTICE = 10.0


@pytest.fixture(params=["local", "redis"])
def spec(request: pytest.FixtureRequest) -> str:
    if request.param == "local":
        return "local:processes"
    server: RedisServer = request.getfixturevalue("redis_server")
    return server.url


@pytest.fixture
def tracker(spec: str) -> Iterator[Tracker]:
    tracker = Tracker(store=open_store(spec))
    yield tracker
    tracker.close()


def track(tracker: Tracker, identifier: str, received: int = 0) -> Transfer:
    transfer = tracker.track("POST", b"X-Progress-ID=" + identifier.encode(), None, 1000)
    assert transfer is not None
    transfer.received = received
    return transfer


def seen(tracker: Tracker, identifier: str) -> Snapshot:
    found = tracker.look(identifier)
    return found if isinstance(found, Snapshot) else found.result(timeout=10)


def has_state(tracker: Tracker, identifier: str, expected: State) -> Callable[[], bool]:
    return lambda: seen(tracker, identifier).state is expected


def test_another_process_knows_when_a_transfer_started_and_ended(
    tracker: Tracker, spec: str
) -> None:
    other = Tracker(store=open_store(spec))
    transfer = track(tracker, "timed")
    eventually(has_state(other, "timed", State.RUNNING))
    assert seen(other, "timed").started == transfer.started
    transfer.delivered()
    eventually(has_state(other, "timed", State.DONE))
    assert seen(other, "timed") == transfer.snapshot()
    other.close()


def in_child(work: Callable[[], bool]) -> bool:
    """Fork; tell whether the work came out well in the child."""
    child = os.fork()
    if not child:
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
        signal.alarm(60)
        well = False
        try:
            well = work()
        finally:  # by a signal: whoever measures the coverage has a lock in each other exit
            os.kill(os.getpid(), signal.SIGUSR1 if well else signal.SIGKILL)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal.SIGUSR1


def test_a_child_sees_the_parents_transfers_and_publishes_none(tracker: Tracker) -> None:
    track(tracker, "old").delivered()
    mine = track(tracker, "mine", 10)
    store = tracker.store
    assert store is not None
    eventually(lambda: look(store, "mine").received == 10)
    eventually(lambda: look(store, "old").state is State.DONE)

    def work() -> bool:
        mine.received = 999  # on the child's copy
        before = [seen(tracker, "mine"), seen(tracker, "old")]
        track(tracker, "childs", 7).delivered()
        tracker.close()
        return [each.state for each in before] == [State.RUNNING, State.DONE] and (
            before[0].received == 10
        )

    assert in_child(work)
    assert seen(tracker, "childs")[:2] == (State.DONE, 7)
    mine.received = 20
    eventually(lambda: look(store, "mine")[:2] == (State.RUNNING, 20))


def test_a_fork_at_any_moment_is_right(tracker: Tracker) -> None:
    """Twenty forks, while other threads track, settle and look."""
    done = threading.Event()

    def busy(name: str) -> None:
        number = 0
        while not done.is_set():
            number += 1
            transfer = track(tracker, f"{name}{number % 500}")
            seen(tracker, f"{name}{number % 400}")
            transfer.delivered()

    threads = [threading.Thread(target=busy, args=(name,)) for name in "xy"]
    for thread in threads:
        thread.start()
    track(tracker, "parents", 5)
    store = tracker.store
    assert store is not None
    eventually(lambda: look(store, "parents").received == 5)

    def work() -> bool:
        eventually(lambda: seen(tracker, "parents")[:2] == (State.RUNNING, 5))
        track(tracker, f"child{os.getpid()}").delivered()
        tracker.close()
        return True

    try:
        assert [in_child(work) for _ in range(20)] == [True] * 20
    finally:
        done.set()
        for thread in threads:
            thread.join()


def _one_transfer(spec: str, identifier: str) -> None:
    track(Tracker(store=open_store(spec)), identifier, 3).delivered()


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_the_last_end_of_a_multiprocessing_child_is_not_lost(
    spec: str, tracker: Tracker, method: str
) -> None:
    track(tracker, "parents")
    context: Any = multiprocessing.get_context(method)
    process = context.Process(target=_one_transfer, args=(spec, method))
    process.start()
    process.join()
    assert process.exitcode == 0
    assert seen(tracker, method)[:2] == (State.DONE, 3)


_PROCESS = """
import sys, time
from mod_progress.stores import open_store
from mod_progress.tracker import Tracker
tracker = Tracker(store=open_store(sys.argv[1]))
for name in "ended", "runs":
    transfer = tracker.track("POST", b"X-Progress-ID=" + name.encode(), None, 10)
    if name == "ended":
        transfer.delivered()
"""


def test_a_process_that_exits_leaves_its_ends_and_cuts_the_rest(
    spec: str, tracker: Tracker
) -> None:
    subprocess.run([sys.executable, "-W", "error", "-c", _PROCESS, spec], check=True)
    assert seen(tracker, "ended").state is State.DONE
    assert seen(tracker, "runs")[:1] == (State.ERROR,)


_FOREVER = (
    _PROCESS
    + """
print("tracking", flush=True)
time.sleep(60)
"""
)


def test_the_transfers_of_a_killed_process_are_errors_within_ten_seconds(
    redis_server: RedisServer,
) -> None:
    specs = ("local:killed", redis_server.url)
    trackers = [Tracker(store=open_store(spec)) for spec in specs]
    processes = [
        subprocess.Popen([sys.executable, "-c", _FOREVER, spec], stdout=subprocess.PIPE)
        for spec in specs
    ]
    for tracker, process in zip(trackers, processes, strict=True):
        with process:
            assert process.stdout is not None
            assert process.stdout.readline() == b"tracking\n"
            eventually(has_state(tracker, "runs", State.RUNNING))
            process.kill()
    killed = time.monotonic()
    for tracker in trackers:
        assert seen(tracker, "runs").state is State.RUNNING
        eventually(has_state(tracker, "runs", State.ERROR), TO_NOTICE)
        assert seen(tracker, "runs").status == 0
        assert time.monotonic() - killed < TO_NOTICE
        assert seen(tracker, "ended").state is State.DONE
        tracker.close()
