import json

import pytest

from mod_progress.show.answer import NO_IDENTIFIER, Answer, answer_inquiry, present, refuse
from mod_progress.show.formats import FORMATS, JSON, JSONP, Format
from mod_progress.show.question import Inquiry
from mod_progress.tracker import Tracker
from mod_progress.transfer import UNKNOWN, Snapshot, State
from tests.show.asking import QUERY
from tests.show.far_store import FarStore

INQUIRY = Inquiry("a", JSON, None)


def shown(tracker: Tracker) -> bytes:
    found = answer_inquiry(INQUIRY, tracker)
    assert isinstance(found, Answer)
    return found.body


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


@pytest.mark.parametrize("form", FORMATS.values())
def test_an_answer_has_the_fields_of_its_format(form: Format) -> None:
    found = present(Inquiry("a", form, None), UNKNOWN)
    assert found.status == 200
    assert found.fields == (
        ("Content-Type", form.content_type),
        ("Cache-Control", "no-store"),
        ("X-Content-Type-Options", "nosniff"),
    )


def test_the_callback_of_an_inquiry_is_called() -> None:
    assert present(Inquiry("a", JSONP, b"f"), UNKNOWN).body == b'f({"state": "unknown"})'


def test_an_answer_from_far_away_is_a_future() -> None:
    store = FarStore()
    found = answer_inquiry(INQUIRY, Tracker(store=store))
    assert not isinstance(found, Answer)
    assert not found.done()
    store.asked[0].set_result(Snapshot(State.ERROR, status=502))
    assert found.result(1).body == b'{"state": "error", "status": 502}'


def test_a_far_store_that_fails_knows_nothing() -> None:
    store = FarStore()
    found = answer_inquiry(INQUIRY, Tracker(store=store))
    assert not isinstance(found, Answer)
    store.asked[0].set_exception(ZeroDivisionError())
    assert found.result(1).body == b'{"state": "unknown"}'


def test_a_refusal_says_why_in_json() -> None:
    refusal = refuse(404, 'no "x"')
    assert refusal.status == 404
    assert dict(refusal.fields)["Content-Type"] == "application/json"
    assert json.loads(refusal.body) == {"error": 'no "x"'}


def test_a_question_without_an_id_is_refused() -> None:
    assert NO_IDENTIFIER.status == 400
    assert json.loads(NO_IDENTIFIER.body) == {
        "error": "X-Progress-ID is missing, or not 1 to 128 visible ASCII characters"
    }
