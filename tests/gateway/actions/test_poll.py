from __future__ import annotations

import json

import pytest

from mod_progress.gateway.actions.poll import Poll
from mod_progress.options import Options
from mod_progress.show.formats import FORMATS
from mod_progress.tracker import Tracker
from mod_progress.transfer import Transfer

DATE = b"Date: Sun, 06 Nov 1994 08:49:37 GMT\r\n"


@pytest.fixture
def tracker() -> Tracker:
    return Tracker(Options())


def track(tracker: Tracker, size: int | None = 100) -> Transfer:
    transfer = tracker.track("POST", b"X-Progress-ID=a", None, size)
    assert transfer is not None
    return transfer


def body(response: bytes | None) -> dict[str, object]:
    assert response is not None
    found: dict[str, object] = json.loads(response.partition(b"\r\n\r\n")[2])
    return found


def test_while_nothing_moves_the_same_bytes_answer(tracker: Tracker) -> None:
    poll = Poll("a", FORMATS["json"], None)
    track(tracker)
    first = poll.repeat(tracker, DATE)
    assert first is not None
    assert first.startswith(b"HTTP/1.1 200 OK\r\n" + DATE)
    assert poll.repeat(tracker, DATE) is first


def test_another_second_has_another_date(tracker: Tracker) -> None:
    poll = Poll("a", FORMATS["json"], None)
    track(tracker)
    poll.repeat(tracker, DATE)
    later = DATE.replace(b":37", b":38")
    assert later in (poll.repeat(tracker, later) or b"")


def test_whatever_happens_next_is_seen_by_the_next_poll(tracker: Tracker) -> None:
    poll = Poll("a", FORMATS["json"], None)

    def shown() -> dict[str, object]:
        poll.repeat(tracker, DATE)
        return body(poll.repeat(tracker, DATE))

    assert shown() == {"state": "unknown"}
    transfer = track(tracker, None)
    assert shown()["request_size"] is None
    transfer.received = 7
    assert shown()["received"] == 7
    transfer.request_ended()
    assert shown()["request_size"] == 7
    transfer.response_started(200, 50)
    assert shown()["response_size"] == 50
    transfer.written = 20
    assert shown()["sent"] == 20
    transfer.delivered()
    assert shown()["state"] == "done"
    track(tracker).received = 9
    assert shown()["received"] == 9
    track(tracker).received = 1  # takes the id over
    assert shown()["received"] == 1


def test_each_format_is_answered_with_its_type(tracker: Tracker) -> None:
    track(tracker)
    for form in FORMATS.values():
        poll = Poll("a", form, b"call")
        assert f"Content-Type: {form.content_type}\r\n".encode() in (
            poll.repeat(tracker, DATE) or b""
        )
