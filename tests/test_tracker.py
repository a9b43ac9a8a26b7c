import logging

import pytest

from mod_progress.options import Options
from mod_progress.show.formats import FORMATS
from mod_progress.tracker import Answer, Tracker

QUERY = b"X-Progress-ID=a"


def shown(tracker: Tracker, query: bytes = QUERY, name: str = "json") -> bytes:
    answer = tracker.show(query, None, FORMATS[name])
    assert isinstance(answer, Answer)
    return answer.body


def test_a_request_is_tracked_and_shown() -> None:
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


def test_the_header_carries_the_id_too() -> None:
    tracker = Tracker()
    assert tracker.track("POST", b"", b"a", 10) is not None
    assert b'"running"' in shown(tracker)
    answer = tracker.show(b"", b"a")
    assert isinstance(answer, Answer)
    assert b'"running"' in answer.body


@pytest.mark.parametrize(
    ("name", "query", "body"),
    [
        ("json", QUERY, b'{"state": "unknown"}'),
        ("jsonp", QUERY, b'progress({"state": "unknown"})'),
        ("jsonp", QUERY + b"&X-Progress-Callback=f", b'f({"state": "unknown"})'),
        ("jsonp", QUERY + b"&x-progress-callback=f%28", b'progress({"state": "unknown"})'),
        ("legacy", QUERY, b'new Object({"state": "unknown"})'),
    ],
)
def test_the_formats(name: str, query: bytes, body: bytes) -> None:
    assert shown(Tracker(), query, name) == body


@pytest.mark.parametrize("query", [b"", b"a=1", b"X-Progress-ID=", b"X-Progress-ID=%20"])
def test_without_a_valid_id_there_is_no_answer(query: bytes) -> None:
    assert Tracker().show(query, None) is None


@pytest.mark.parametrize(
    ("method", "query", "said"),
    [
        ("GET", QUERY, "not tracked: the method is GET, tracked: POST"),
        ("POST", b"", "not tracked: no X-Progress-ID in the query or the headers"),
        (
            "POST",
            b"X-Progress-ID=%20",
            "not tracked: X-Progress-ID b' ' is not 1 to 128 visible ASCII characters",
        ),
    ],
)
def test_what_is_not_tracked_passes_with_a_reason(
    method: str, query: bytes, said: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    assert Tracker(Options(debug=True)).track(method, query, None, 0) is None
    assert caplog.messages == [said]


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
