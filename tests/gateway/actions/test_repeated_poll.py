from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator

import pytest

from mod_progress.gateway.actions.poll import field_lines
from mod_progress.gateway.actions.repeated_poll import RepeatedPoll
from mod_progress.gateway.limits import Limits
from mod_progress.gateway.state import ServerState
from mod_progress.options import Options
from mod_progress.show.formats import FORMATS, JSON, Format
from mod_progress.show.question import Inquiry
from mod_progress.tracker import Tracker
from mod_progress.transfer import Transfer

REQUEST = b"GET /progress?X-Progress-ID=a HTTP/1.1\r\nHost: a\r\n\r\n"


@pytest.fixture
def tracker() -> Tracker:
    return Tracker(Options())


@pytest.fixture
def state(tracker: Tracker) -> Iterator[ServerState]:
    loop = asyncio.new_event_loop()
    yield ServerState(loop, tracker, Limits())
    loop.close()


def repeated(state: ServerState, form: Format = JSON) -> RepeatedPoll:
    return RepeatedPoll(Inquiry("a", form, b"call"), REQUEST, state, field_lines(form.fields))


def track(tracker: Tracker, size: int | None = 100) -> Transfer:
    transfer = tracker.track("POST", b"X-Progress-ID=a", None, size)
    assert transfer is not None
    return transfer


def body(response: bytes | None) -> dict[str, object]:
    assert response is not None
    found: dict[str, object] = json.loads(response.partition(b"\r\n\r\n")[2])
    return found


def test_while_nothing_moves_the_same_bytes_answer(tracker: Tracker, state: ServerState) -> None:
    poll = repeated(state)
    track(tracker)
    first = poll.answer(REQUEST)
    assert first is not None
    assert first.startswith(b"HTTP/1.1 200 OK\r\n" + state.date)
    assert poll.answer(REQUEST) is first


def test_another_second_has_another_date(tracker: Tracker, state: ServerState) -> None:
    poll = repeated(state)
    track(tracker)
    poll.answer(REQUEST)
    state.date = b"Date: Sun, 06 Nov 1994 08:49:38 GMT\r\n"
    assert state.date in (poll.answer(REQUEST) or b"")


def test_other_bytes_are_left_to_the_usual_way(tracker: Tracker, state: ServerState) -> None:
    poll = repeated(state)
    track(tracker)
    for other in (REQUEST[:-1], REQUEST + b"G", REQUEST.replace(b"=a", b"=b")):
        assert poll.answer(other) is None


def test_whatever_happens_next_is_seen_by_the_next_poll(
    tracker: Tracker, state: ServerState
) -> None:
    poll = repeated(state)

    def shown() -> dict[str, object]:
        poll.answer(REQUEST)
        return body(poll.answer(REQUEST))

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


def test_each_format_is_answered_with_its_type(tracker: Tracker, state: ServerState) -> None:
    track(tracker)
    for form in FORMATS.values():
        poll = repeated(state, form)
        assert f"Content-Type: {form.content_type}\r\n".encode() in (poll.answer(REQUEST) or b"")
