from __future__ import annotations

import hashlib
import json
from concurrent.futures import Future
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mod_progress.show.answer import Answer
from mod_progress.show.answering import answer_inquiry
from mod_progress.show.events import (
    HEARTBEAT,
    LEAST_LIFE,
    MOST_IDENTIFIERS,
    MOST_LIFE,
    EventStream,
)
from mod_progress.show.formats import EVENTS, render_json
from mod_progress.show.question import Subscription, inquire
from mod_progress.show.ticker import call_here
from mod_progress.stores.memory import MemoryStore
from mod_progress.tracker import Tracker
from mod_progress.transfer import UNKNOWN, Snapshot, State, Transfer
from tests.clock import Clock
from tests.show.asking import at_once, question
from tests.show.driven_ticker import DrivenTicker
from tests.show.event_source import Event, EventSource, read_events
from tests.show.far_store import FarStore

VISIBLE = "".join(map(chr, range(0x21, 0x7F)))


def track(tracker: Tracker, identifier: str = "a", size: int = 100) -> Transfer:
    query = f"X-Progress-ID={quote(identifier, safe='')}"
    transfer = tracker.track("POST", query.encode(), None, size)
    assert transfer is not None
    return transfer


def finish(transfer: Transfer, status: int = 200) -> None:
    transfer.response_started(status, 0)
    transfer.delivered()


def subscribe(ticker: DrivenTicker, *identifiers: str, last: str = "") -> Answer:
    query = "&".join(f"X-Progress-ID={quote(each, safe='')}" for each in identifiers or ("a",))
    asked = inquire(question(query.encode(), last_event_id=last.encode()), EVENTS)
    assert isinstance(asked, Subscription)
    return at_once(answer_inquiry(asked, ticker.tracker, ticker))


class Client:
    """Reads a stream as a browser does."""

    def __init__(self, ticker: DrivenTicker, *identifiers: str, last: str = "") -> None:
        answer = subscribe(ticker, *identifiers, last=last)
        assert answer.status == 200
        assert isinstance(answer.body, EventStream)
        self.ticker = ticker
        self.stream = answer.body
        self.source = EventSource()
        self.woken = 0
        self.stream.open(call_here, self.wake)

    def wake(self) -> None:
        self.woken += 1

    def read(self) -> list[Event]:
        """Let the ticker look, take what is there, and return the events that it brings."""
        self.ticker.tick()
        before = len(self.source.events)
        self.source.feed(self.stream.take())
        return self.source.events[before:]


def shown(events: list[Event]) -> list[object]:
    return [event.json() for event in events]


RUNNING = {"state": "running", "received": 0, "sent": 0, "request_size": 100, "response_size": 0}


def test_a_stream_says_first_that_it_is_open(ticker: DrivenTicker) -> None:
    client = Client(ticker)
    client.source.feed(client.stream.take())
    assert client.source.retry == 1000
    assert not client.source.events


def test_a_transfer_that_is_not_there_yet_is_waited_for(
    tracker: Tracker, ticker: DrivenTicker
) -> None:
    client = Client(ticker)
    assert shown(client.read()) == [{"state": "unknown"}]
    assert not client.read()
    transfer = track(tracker)
    assert shown(client.read()) == [RUNNING]
    transfer.received = 50
    assert shown(client.read()) == [{**RUNNING, "received": 50}]
    assert not client.read()
    assert not client.stream.ended
    transfer.received = 100
    finish(transfer)
    last, end = client.read()
    assert last.json() == {**RUNNING, "state": "done", "received": 100}
    assert (end.name, end.json()) == ("end", {})
    assert client.stream.ended
    assert not ticker.watched
    assert client.stream.take() == b""


@pytest.mark.parametrize("status", [0, 500])
def test_an_error_ends_a_stream(tracker: Tracker, ticker: DrivenTicker, status: int) -> None:
    client = Client(ticker)
    transfer = track(tracker)
    client.read()
    finish(transfer, status) if status else transfer.cut()
    error, end = client.read()
    assert error.json() == {"state": "error", "status": status}
    assert end.name == "end"


def test_the_data_is_the_json_of_a_show(tracker: Tracker, ticker: DrivenTicker) -> None:
    client = Client(ticker)
    transfer = track(tracker)
    (event,) = client.read()
    assert event.data.encode() == render_json(transfer.snapshot())


def test_all_watchers_are_sent_the_same_bytes(tracker: Tracker, ticker: DrivenTicker) -> None:
    clients = [Client(ticker) for _ in range(3)]
    for client in clients:
        client.stream.take()
    track(tracker)
    ticker.tick()
    first, *others = [client.stream.take() for client in clients]
    assert b'"running"' in first
    assert all(other is first for other in others)


def test_who_does_not_read_gets_the_latest(tracker: Tracker, ticker: DrivenTicker) -> None:
    client = Client(ticker)
    client.read()
    woken = client.woken
    transfer = track(tracker)
    for received in range(5):
        transfer.received = received
        ticker.tick()
    assert client.woken == woken + 1
    assert shown(client.read()) == [{**RUNNING, "received": 4}]


def test_several_transfers_in_one_stream(tracker: Tracker, ticker: DrivenTicker) -> None:
    track(tracker, "own~secret", 1)
    shared = "see~" + hashlib.sha256(b"secret").hexdigest()
    names = ["own~secret", shared, 'a"\\b']
    client = Client(ticker, *names)
    first = client.read()
    assert [event.json()["id"] for event in first] == names
    assert [event.json()["state"] for event in first] == ["running", "running", "unknown"]
    assert [bool(event.last_id) for event in first] == [False, False, True]
    other = track(tracker, 'a"\\b', 2)
    (event,) = client.read()
    assert event.json() == {"id": 'a"\\b', **RUNNING, "request_size": 2}
    finish(other)
    (event,) = client.read()
    assert event.json()["state"] == "done"
    assert not client.stream.ended
    transfer = tracker.table.find(shared)
    assert transfer is not None
    transfer.cut()
    assert [event.name for event in client.read()] == ["message", "message", "end"]
    assert client.stream.ended


def test_an_id_that_is_named_twice_is_sent_once(ticker: DrivenTicker) -> None:
    client = Client(ticker, "a", "a")
    assert shown(client.read()) == [{"id": "a", "state": "unknown"}]


@given(st.lists(st.text(VISIBLE, min_size=1, max_size=128), min_size=2, max_size=9, unique=True))
def test_whatever_the_ids_are_each_event_names_its_own(identifiers: list[str]) -> None:
    client = Client(DrivenTicker(Tracker(), Clock()), *identifiers)
    assert shown(client.read()) == [{"id": each, "state": "unknown"} for each in identifiers]


@pytest.mark.parametrize("identifiers", [("a",), ("a", "b")])
def test_who_comes_back_is_not_sent_again_what_he_has(
    tracker: Tracker, ticker: DrivenTicker, identifiers: tuple[str, ...]
) -> None:
    transfers = [track(tracker, identifier) for identifier in identifiers]
    first = Client(ticker, *identifiers)
    first.read()
    first.stream.close()
    second = Client(ticker, *identifiers, last=first.source.last_id)
    assert not second.read()
    transfers[0].received = 1
    assert len(second.read()) == 1
    second.stream.close()
    transfers[0].received = 2
    third = Client(ticker, *identifiers, last=second.source.last_id)
    assert len(third.read()) == len(identifiers)


@pytest.mark.parametrize("identifiers", [("a",), ("a", "b")])
def test_who_has_the_final_state_is_told_to_stop(
    tracker: Tracker, ticker: DrivenTicker, identifiers: tuple[str, ...]
) -> None:
    for identifier in identifiers:
        finish(track(tracker, identifier))
    client = Client(ticker, *identifiers)
    client.read()
    assert client.stream.ended
    last = client.source.last_id
    answer = subscribe(ticker, *identifiers, last=last)
    assert (answer.status, answer.body) == (204, b"")
    # The id is used again: with another end, while it runs, and with the same end.
    finish(track(tracker, "a"), 500)
    again = Client(ticker, *identifiers, last=last)
    assert again.read()[0].json()["status"] == 500
    transfer = track(tracker, "a")
    assert subscribe(ticker, *identifiers, last=last).status == 200
    finish(transfer)
    assert subscribe(ticker, *identifiers, last=last).status == 204


def test_who_has_a_final_state_that_is_forgotten_is_told_to_stop(clock: Clock) -> None:
    ticker = DrivenTicker(Tracker(), clock)
    assert subscribe(ticker, last="end.0123456789ab").status == 204
    assert subscribe(ticker, last="0123456789ab").status == 200


def test_a_final_state_in_a_store_far_away_is_looked_up(clock: Clock) -> None:
    class FarAway(FarStore):
        def lookup_many(self, identifiers):  # type: ignore[no-untyped-def]
            self.many: Future[list[Snapshot]] = Future()
            return self.many

    store = FarAway()
    tracker = Tracker(store=store)
    asked = inquire(question(last_event_id=b"end.0123456789ab"), EVENTS)
    assert isinstance(asked, Subscription)
    found = answer_inquiry(asked, tracker, DrivenTicker(tracker, clock))
    assert isinstance(found, Future)
    store.many.set_result([Snapshot(State.RUNNING)])
    assert at_once(found).status == 200


def test_an_end_from_another_worker_ends_a_stream(clock: Clock) -> None:
    store = MemoryStore()
    ticker = DrivenTicker(Tracker(store=store), clock)
    client = Client(ticker)
    client.read()
    owner = Tracker(store=store)
    transfer = track(owner)
    owner.look("a")
    assert shown(client.read()) == [RUNNING]
    finish(transfer)
    owner.look("a")
    assert [event.name for event in client.read()] == ["message", "end"]
    owner.close()


def test_a_comment_is_sent_after_a_long_silence(ticker: DrivenTicker, clock: Clock) -> None:
    client = Client(ticker)
    client.read()
    clock.now += HEARTBEAT - 0.1
    client.read()
    assert client.source.comments == 0
    clock.now += 0.1
    client.read()
    client.read()
    assert client.source.comments == 1
    clock.now += HEARTBEAT
    client.read()
    assert client.source.comments == 2


def test_an_event_puts_the_comment_off(
    tracker: Tracker, ticker: DrivenTicker, clock: Clock
) -> None:
    client = Client(ticker)
    client.read()
    clock.now += HEARTBEAT - 1
    track(tracker)
    client.read()
    clock.now += HEARTBEAT - 1
    client.read()
    assert client.source.comments == 0


def test_a_stream_ends_by_itself_within_a_minute(ticker: DrivenTicker, clock: Clock) -> None:
    clients = [Client(ticker) for _ in range(20)]
    for client in clients:
        client.read()
    clock.now += LEAST_LIFE - 0.1
    for client in clients:
        client.read()
        assert not client.stream.ended
    clock.now += MOST_LIFE - LEAST_LIFE + 0.1
    for client in clients:
        assert client.read() == []
        assert client.stream.ended
    assert not ticker.watched


def test_streams_that_began_together_do_not_end_together(
    ticker: DrivenTicker, clock: Clock
) -> None:
    clients = [Client(ticker) for _ in range(20)]
    clock.now += (LEAST_LIFE + MOST_LIFE) / 2
    for client in clients:
        client.read()
    assert {client.stream.ended for client in clients} == {True, False}


def test_a_stream_ends_with_its_server(ticker: DrivenTicker) -> None:
    client = Client(ticker)
    client.read()
    woken = client.woken
    ticker.end()
    assert client.woken == woken + 1
    assert client.read() == []
    assert client.stream.ended
    late = Client(ticker)
    assert late.stream.take() == b"retry: 1000\n\n"
    assert late.stream.ended


def test_a_stream_that_is_closed_leaves_nothing_behind(ticker: DrivenTicker) -> None:
    client = Client(ticker)
    client.stream.close()
    assert client.stream.ended
    assert client.stream.take() == b""
    assert not ticker.watched


def test_the_fields_keep_what_is_in_between_from_holding_events_back(
    ticker: DrivenTicker,
) -> None:
    assert dict(subscribe(ticker).fields) == {
        "Content-Type": "text/event-stream",
        "Cache-Control": "no-store, no-transform",
        "X-Content-Type-Options": "nosniff",
        "X-Accel-Buffering": "no",
        "Incremental": "?1",
    }


@pytest.mark.parametrize("number", [MOST_IDENTIFIERS, MOST_IDENTIFIERS + 1])
def test_a_stream_is_about_so_many_transfers(ticker: DrivenTicker, number: int) -> None:
    answer = subscribe(ticker, *map(str, range(number)))
    assert answer.status == (200 if number <= MOST_IDENTIFIERS else 400)


def test_where_threads_are_few_there_is_no_stream(tracker: Tracker) -> None:
    asked = inquire(question(), EVENTS)
    assert isinstance(asked, Subscription)
    answer = at_once(answer_inquiry(asked, tracker, None))
    assert answer.status == 406
    assert isinstance(answer.body, bytes)
    assert "poll" in json.loads(answer.body)["error"]


def test_one_bad_id_of_several_is_refused() -> None:
    assert inquire(question(b"X-Progress-ID=a&X-Progress-ID=%20"), EVENTS) is None
    assert inquire(question(b""), EVENTS) is None


def test_the_header_names_one_id() -> None:
    asked = inquire(question(b"", x_progress_id=b"a"), EVENTS)
    assert isinstance(asked, Subscription)
    assert [each.identifier for each in asked.asked] == ["a"]
    assert not asked.several


def test_events_are_read_as_a_browser_does() -> None:
    (event,) = read_events(b": comment\nretry: 1\ndata: a\ndata: b\nid: 7\nevent: x\n\ndata: lost")
    assert event == Event("x", "a\nb", "7")
    assert UNKNOWN.state is State.UNKNOWN
