from concurrent.futures import Future

import pytest

from mod_progress.show.answer import Answer
from mod_progress.show.answering import answer_inquiry
from mod_progress.show.formats import JSON
from mod_progress.show.question import Inquiry
from mod_progress.tracker import Tracker
from mod_progress.transfer import Snapshot, State
from tests.show.asking import QUERY, body_of
from tests.show.far_store import FarStore

INQUIRY = Inquiry("a", JSON, None)


def shown(tracker: Tracker) -> bytes:
    return body_of(answer_inquiry(INQUIRY, tracker, None))


def test_a_tracked_request_is_shown() -> None:
    tracker = Tracker()
    transfer = tracker.track("POST", QUERY, None, 10)
    assert transfer is not None
    transfer.received = 4
    assert shown(tracker) == (
        b'{"state": "running", "received": 4, "sent": 0, "request_size": 10, "response_size": 0}'
    )
    transfer.received = 10
    transfer.response_started(200, 0)
    transfer.delivered()
    assert b'"done"' in shown(tracker)


@pytest.fixture
def store() -> FarStore:
    return FarStore()


@pytest.fixture
def far(store: FarStore) -> Future[Answer]:
    """An answer that ``store.asked[0]`` waits for."""
    found = answer_inquiry(INQUIRY, Tracker(store=store), None)
    assert isinstance(found, Future)
    assert not found.done()
    return found


def test_an_answer_from_far_away_is_a_future(store: FarStore, far: Future[Answer]) -> None:
    store.asked[0].set_result(Snapshot(State.ERROR, status=502))
    assert body_of(far) == b'{"state": "error", "status": 502}'


def test_a_far_store_that_fails_knows_nothing(store: FarStore, far: Future[Answer]) -> None:
    store.asked[0].set_exception(ZeroDivisionError())
    assert body_of(far) == b'{"state": "unknown"}'
