"""The callable ``on_end``: what it is told, and that nothing ever waits for it."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from typing import Any

import pytest

from mod_progress import finished
from mod_progress.finished import EndNotifier, FinishedTransfer
from mod_progress.options import OptionError
from mod_progress.stores.memory import MemoryStore
from mod_progress.tracker import Tracker
from mod_progress.transfer import State, Transfer
from tests.gateway.running import eventually
from tests.test_middleware import middleware, post_by_asgi, post_by_wsgi


def follow(tell: Callable[[FinishedTransfer], object]) -> tuple[Tracker, EndNotifier]:
    tracker = Tracker(store=MemoryStore())
    notifier = EndNotifier(tell)
    notifier.follow(tracker.table)
    return tracker, notifier


def track(tracker: Tracker, identifier: str) -> Transfer:
    query = f"X-Progress-ID={identifier}".encode()
    transfer = tracker.track("POST", query, None, 10, path="/upload", peer="192.0.2.7")
    assert transfer is not None
    return transfer


def threads() -> set[threading.Thread]:
    return {each for each in threading.enumerate() if each.name == "mod_progress on_end"}


def test_it_is_told_what_a_transfer_was() -> None:
    told: list[FinishedTransfer] = []
    tracker, _ = follow(told.append)
    whole, cut = track(tracker, "whole"), track(tracker, "own~secret")
    whole.received = 10
    whole.response_started(201, 3)
    whole.written = 3
    whole.delivered()
    cut.received = 4
    cut.cut()
    eventually(lambda: len(told) == 2)
    first, second = told
    assert first._replace(seconds=0) == FinishedTransfer(
        "whole", "POST", "/upload", "192.0.2.7", 0, State.DONE, 201, 10, 3, 10, 3
    )
    assert 0 <= first.seconds < 60
    assert (second.state, second.status, second.received) == ("error", 0, 4)
    assert second.identifier.startswith("see~")
    # The other processes learn of the ends as before.
    eventually(lambda: tracker.store.lookup("whole").state is State.DONE)  # type: ignore[union-attr]
    tracker.close()


def test_what_fails_is_logged_once_and_the_others_are_told(
    caplog: pytest.LogCaptureFixture,
) -> None:
    told: list[str] = []

    def tell(transfer: FinishedTransfer) -> None:
        if transfer.identifier != "last":
            raise SystemExit if transfer.identifier == "b" else ValueError
        told.append(transfer.identifier)

    tracker, _ = follow(tell)
    for identifier in ("a", "a2", "b", "last"):
        track(tracker, identifier).delivered()
    eventually(lambda: told == ["last"])
    logged = [record.getMessage() for record in caplog.records]
    assert logged == ["the callable given as on_end failed; this is logged once"] * 2


def test_one_that_is_slow_is_not_told_of_all_and_nobody_waits(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(finished, "MOST_WAITING", 5)
    told: list[str] = []
    begun, permitted = threading.Event(), threading.Event()

    def tell(transfer: FinishedTransfer) -> None:
        begun.set()
        permitted.wait()
        told.append(transfer.identifier)

    tracker, notifier = follow(tell)
    track(tracker, "first").delivered()
    assert begun.wait(10)
    for number in range(20):
        track(tracker, str(number)).delivered()
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    assert "5 ends wait" in caplog.text
    permitted.set()
    notifier.close()
    assert told == ["first", "0", "1", "2", "3", "4"]
    track(tracker, "after").delivered()
    eventually(lambda: told[-1] == "after")


def test_a_close_waits_a_second_at_most(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(finished, "CLOSE_TIMEOUT", 0.01)
    begun, permitted = threading.Event(), threading.Event()

    def tell(transfer: FinishedTransfer) -> None:
        begun.set()
        permitted.wait()

    tracker, notifier = follow(tell)
    track(tracker, "a").delivered()
    assert begun.wait(10)
    notifier.close()
    assert not permitted.is_set()
    permitted.set()


def test_the_thread_goes_when_there_is_nothing_to_tell(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(finished, "IDLE", 0.01)
    before = threads()
    told: list[FinishedTransfer] = []
    tracker, _ = follow(told.append)
    for number in range(3):
        track(tracker, str(number)).delivered()
        eventually(lambda: len(told) > number)  # noqa: B023 - it is called in this round
        eventually(lambda: threads() <= before)


def test_where_no_thread_can_start_the_next_end_tries_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    told: list[str] = []
    tracker, _ = follow(lambda transfer: told.append(transfer.identifier))
    transfers = [track(tracker, name) for name in "ab"]

    def fail(thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as patched:
        patched.setattr(threading.Thread, "start", fail)
        transfers[0].delivered()
    transfers[1].delivered()
    eventually(lambda: told == ["a", "b"])


def test_a_child_tells_of_its_own_transfers() -> None:
    reading, writing = os.pipe()
    begun = threading.Event()

    def tell(transfer: FinishedTransfer) -> None:
        os.write(writing, f"{os.getpid()} {transfer.identifier}\n".encode())
        begun.set()

    tracker, notifier = follow(tell)
    track(tracker, "parent").delivered()
    assert begun.wait(10)
    child = os.fork()
    if not child:
        track(tracker, "child").delivered()
        notifier.close()
        os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    os.close(writing)
    with os.fdopen(reading) as lines:
        assert lines.read() == f"{os.getpid()} parent\n{child} child\n"


async def tell_later(transfer: FinishedTransfer) -> None:
    """An app may take this for possible."""


@pytest.mark.parametrize("on_end", [True, "log", tell_later])
def test_a_wrong_value_is_refused(on_end: Any) -> None:
    with pytest.raises(OptionError, match=r"^on_end: .* is not a callable, and no async one"):
        middleware(on_end=on_end)


@pytest.mark.parametrize("post", [post_by_asgi, post_by_wsgi])
def test_both_middlewares_tell(post: Callable[..., None]) -> None:
    told: list[FinishedTransfer] = []
    post(MemoryStore(), told.append, a="0")
    eventually(lambda: told)
    assert (told[0].identifier, told[0].status, told[0].sent) == ("a", 200, 2)
