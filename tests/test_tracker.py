import hashlib
import logging

import pytest

from mod_progress.options import Options
from mod_progress.publisher import Publisher
from mod_progress.stores.contract import PublishResult
from mod_progress.stores.memory import MemoryStore
from mod_progress.tracker import Tracker
from mod_progress.transfer import UNKNOWN, Snapshot, State
from tests.show.far_store import FarStore
from tests.snapshots import timeless
from tests.stores.store_servers import listed

QUERY = b"X-Progress-ID=a"


def test_a_request_is_tracked_and_looked_up() -> None:
    tracker = Tracker()
    assert tracker.look("a") is UNKNOWN
    transfer = tracker.track("POST", QUERY, None, 10)
    assert transfer is not None
    transfer.received = 4
    assert timeless(tracker.look("a")) == Snapshot(State.RUNNING, 4, 0, 10)
    transfer.response_started(200, 0)
    transfer.delivered()
    assert timeless(tracker.look("a")) == Snapshot(State.DONE, 4, 0, 10, status=200)


def test_the_header_carries_the_id_too() -> None:
    tracker = Tracker()
    assert tracker.track("POST", b"", b"a", 10) is not None
    assert timeless(tracker.look("a")) == Snapshot(State.RUNNING, request_size=10)


def test_what_ended_here_and_the_far_store_lost_is_known_still() -> None:
    store = FarStore()
    tracker = Tracker(store=store)
    transfer = tracker.track("POST", QUERY, None, 10)
    assert transfer is not None
    transfer.cut()
    transfer.end_published = True
    found = tracker.look("a")
    assert not isinstance(found, Snapshot)
    store.asked.pop().set_result(UNKNOWN)
    assert found.result(0) == transfer.snapshot()
    taken_over = Snapshot(State.RUNNING, 5)
    found = tracker.look("a")
    assert not isinstance(found, Snapshot)
    store.asked.pop().set_result(taken_over)
    assert found.result(0) == taken_over
    tracker.close()


@pytest.mark.parametrize(
    ("method", "query", "said"),
    [
        ("GET", QUERY, "not tracked: the method is GET, tracked: POST"),
        ("POST", b"", "not tracked: no X-Progress-ID in the query or the headers"),
        (
            "POST",
            b"X-Progress-ID=%20",
            "not tracked: X-Progress-ID ' ' is not 1 to 128 visible ASCII characters",
        ),
        (
            "POST",
            b"X-Progress-ID=0123456789%20",
            "not tracked: X-Progress-ID '01234567...' is not 1 to 128 visible ASCII characters",
        ),
        (
            "POST",
            b"X-Progress-ID=see~0123456789",
            "not tracked: X-Progress-ID 'see~01234567...' lets one only look:"
            " an id that begins with own~ tracks",
        ),
    ],
)
def test_what_is_not_tracked_passes_with_a_reason(
    method: str, query: bytes, said: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    assert Tracker(Options(debug=True)).track(method, query, None, 0) is None
    assert caplog.messages == [said]


def test_a_debug_line_shows_no_whole_id(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    Tracker(Options(debug=True)).track("POST", b"X-Progress-ID=own~0123456789", None, 0)
    assert caplog.messages == ["tracking POST own~01234567..."]


def test_the_table_and_the_store_have_the_shared_form_alone() -> None:
    store = MemoryStore()
    tracker = Tracker(store=store)
    transfer = tracker.track("POST", b"X-Progress-ID=own~secret", None, 0)
    assert transfer is not None
    shared = "see~" + hashlib.sha256(b"secret").hexdigest()
    assert transfer.identifier == shared
    tracker.look(shared)
    assert listed(store) == {shared: transfer.snapshot()}
    tracker.close()


def test_who_knows_the_shared_form_cannot_take_the_id_over() -> None:
    tracker = Tracker()
    transfer = tracker.track("POST", b"X-Progress-ID=own~secret", None, 7)
    assert transfer is not None
    query = b"X-Progress-ID=" + transfer.identifier.encode()
    assert tracker.track("POST", query, None, 8) is None
    assert timeless(tracker.look(transfer.identifier)) == Snapshot(State.RUNNING, request_size=7)
    assert tracker.track("POST", b"X-Progress-ID=own~secret", None, 9) is not None
    assert timeless(tracker.look(transfer.identifier)) == Snapshot(State.RUNNING, request_size=9)


def test_without_debug_nothing_is_said(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    tracker = Tracker()
    tracker.track("GET", QUERY, None, 0)
    tracker.track("POST", b"", None, 0)
    tracker.track("POST", QUERY, None, 0)
    assert not caplog.messages


def test_options_of_one_request_stand_in() -> None:
    tracker = Tracker()
    options = Options(methods=frozenset({"PUT"}))
    assert tracker.track("PUT", QUERY, None, 0, options) is not None
    assert tracker.track("POST", b"X-Progress-ID=b", None, 0, options) is None


def test_a_full_table_is_said_once(caplog: pytest.LogCaptureFixture) -> None:
    tracker = Tracker(capacity=1)
    first = tracker.track("POST", QUERY, None, 0)
    assert first is not None
    for name in (b"b", b"c"):
        assert tracker.track("POST", b"X-Progress-ID=" + name, None, 0) is None
    first.delivered()
    second = tracker.track("POST", b"X-Progress-ID=d", None, 0)
    assert second is not None
    assert tracker.track("POST", b"X-Progress-ID=e", None, 0) is None
    said = "the table is full: 1 transfers are running, new ones go on untracked"
    assert caplog.messages == [said, said]  # once, and once more after there was room


UNASKED = "the store cannot be asked: this process answers alone; this is logged once"
UNPUBLISHED = "a transfer is not published to other processes; this is logged once"


class FaultyStore(MemoryStore):
    """A store with a defect: every use raises what no store should raise."""

    def publish(self, *_: object) -> PublishResult:
        raise ZeroDivisionError

    def lookup(self, identifier: str) -> Snapshot:
        raise ZeroDivisionError


@pytest.fixture
def quiet(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep the publisher's thread out of it."""
    monkeypatch.setattr(Publisher, "_start", lambda self: None)


@pytest.mark.usefixtures("quiet")
def test_a_lookup_answers_whatever_the_store_raises(caplog: pytest.LogCaptureFixture) -> None:
    tracker = Tracker(store=FaultyStore())
    transfer = tracker.track("POST", QUERY, None, 10)
    assert transfer is not None
    for _ in range(3):
        assert timeless(tracker.look("a")) == Snapshot(State.RUNNING, request_size=10)
        assert tracker.look("nobody's") is UNKNOWN
    transfer.cut()
    assert timeless(tracker.look("a")) == Snapshot(State.ERROR, request_size=10)
    transfer.end_published = True
    assert timeless(tracker.look("a")) == Snapshot(State.ERROR, request_size=10)
    assert caplog.messages.count(UNASKED) == 1


def test_a_lookup_answers_whatever_a_far_store_raises(caplog: pytest.LogCaptureFixture) -> None:
    store = FarStore()
    tracker = Tracker(store=store)
    transfer = tracker.track("POST", QUERY, None, 10)
    assert transfer is not None
    transfer.cut()
    transfer.end_published = True
    for _ in range(3):
        found = tracker.look("a")
        store.asked.pop().set_exception(ZeroDivisionError())
        assert not isinstance(found, Snapshot)
        assert found.result(0) == transfer.snapshot()
    assert caplog.messages.count(UNASKED) == 1
    tracker.close()


def test_a_request_is_tracked_though_publishing_fails(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(*_: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(Publisher, "started", fail)
    monkeypatch.setattr(Publisher, "ended", fail)
    tracker = Tracker(store=MemoryStore())
    for _ in range(3):
        transfer = tracker.track("POST", QUERY, None, 0)
        assert transfer is not None
        transfer.delivered()
        assert timeless(tracker.look("a")) == Snapshot(State.DONE)
    assert caplog.messages.count(UNPUBLISHED) == 1
