from __future__ import annotations

from concurrent.futures import Future

import pytest

from mod_progress.show.answer import Answer
from mod_progress.show.answering import answer_inquiry
from mod_progress.show.formats import JSON, JSONP, Format
from mod_progress.show.long_poll import LongPoll
from mod_progress.show.question import Inquiry, inquire
from mod_progress.show.responder import Responder
from mod_progress.tracker import Tracker
from mod_progress.transfer import Snapshot, State, Transfer
from tests.clock import Clock
from tests.show.asking import QUERY, at_once, body_of, question
from tests.show.driven_ticker import DrivenTicker
from tests.show.far_store import FarStore


@pytest.fixture
def transfer(tracker: Tracker) -> Transfer:
    transfer = tracker.track("POST", QUERY, None, 100)
    assert transfer is not None
    return transfer


def ask(
    ticker: DrivenTicker, form: Format = JSON, *, waits: bool = True, **fields: bytes
) -> Answer | Future[Answer]:
    asked = inquire(question(**fields), form)
    assert isinstance(asked, Inquiry)
    return answer_inquiry(asked, ticker.tracker, ticker if waits else None)


def field(answer: Answer, name: str) -> str | None:
    return dict(answer.fields).get(name)


def tag(answer: Answer) -> bytes:
    found = field(answer, "ETag")
    assert found is not None
    return found.encode()


def test_a_plain_question_gets_no_tag(ticker: DrivenTicker) -> None:
    answer = at_once(ask(ticker))
    assert field(answer, "ETag") is None
    assert field(answer, "Preference-Applied") is None


@pytest.mark.usefixtures("transfer")
def test_a_question_that_has_nothing_yet_is_answered_at_once(ticker: DrivenTicker) -> None:
    answer = at_once(ask(ticker, prefer=b"wait=20"))
    assert answer.status == 200
    assert b'"running"' in body_of(answer)
    assert field(answer, "Preference-Applied") == "wait=20"
    assert field(answer, "Cache-Control") == "no-store"


@pytest.mark.parametrize("form", [JSON, JSONP])
def test_news_are_waited_for(ticker: DrivenTicker, transfer: Transfer, form: Format) -> None:
    first = at_once(ask(ticker, form, prefer=b"wait=20"))
    waiting = ask(ticker, form, prefer=b"wait=20", if_none_match=tag(first))
    assert isinstance(waiting, Future)
    ticker.tick()
    ticker.tick()
    assert not waiting.done()
    transfer.received = 1
    ticker.tick()
    second = at_once(waiting)
    assert second.status == 200
    assert b'"received": 1,' in body_of(second)
    assert tag(second) != tag(first)
    assert field(second, "Preference-Applied") == "wait=20"
    assert not ticker.watched


def test_news_that_are_there_are_not_waited_for(ticker: DrivenTicker, transfer: Transfer) -> None:
    first = at_once(ask(ticker, prefer=b"wait=20"))
    transfer.received = 1
    waiting = ask(ticker, prefer=b"wait=20", if_none_match=tag(first))
    ticker.tick()
    assert at_once(waiting).status == 200


def test_an_id_that_is_not_there_yet_is_waited_for(ticker: DrivenTicker, tracker: Tracker) -> None:
    unknown = at_once(ask(ticker, prefer=b"wait=20"))
    waiting = ask(ticker, prefer=b"wait=20", if_none_match=tag(unknown))
    ticker.tick()
    assert isinstance(waiting, Future)
    assert not waiting.done()
    tracker.track("POST", QUERY, None, 100)
    ticker.tick()
    assert b'"running"' in body_of(waiting)


@pytest.mark.usefixtures("transfer")
def test_without_news_the_time_ends_with_304(ticker: DrivenTicker, clock: Clock) -> None:
    first = at_once(ask(ticker, prefer=b"wait=20"))
    waiting = ask(ticker, prefer=b"wait=20", if_none_match=tag(first))
    ticker.tick()
    clock.now += 19.9
    ticker.tick()
    assert isinstance(waiting, Future)
    assert not waiting.done()
    clock.now += 0.1
    ticker.tick()
    answer = at_once(waiting)
    assert (answer.status, answer.body) == (304, b"")
    assert dict(answer.fields) == {
        "Cache-Control": "no-store",
        "X-Content-Type-Options": "nosniff",
        "ETag": tag(first).decode(),
        "Preference-Applied": "wait=20",
    }
    assert not ticker.watched


@pytest.mark.usefixtures("transfer")
@pytest.mark.parametrize("waits", [True, False])
@pytest.mark.parametrize(
    "known",
    [b"%b", b'"other", %b', b"W/%b", b"%b-gzip", b"*"],
    ids=["one", "two", "weak", "compressed by Apache", "any"],
)
def test_without_a_wait_304_comes_at_once(ticker: DrivenTicker, known: bytes, waits: bool) -> None:
    first = at_once(ask(ticker, waits=waits, if_none_match=b""))
    known = known.replace(b"%b-gzip", tag(first)[:-1] + b'-gzip"').replace(b"%b", tag(first))
    assert at_once(ask(ticker, waits=waits, if_none_match=known)).status == 304
    assert at_once(ask(ticker, waits=waits, if_none_match=b'"other"')).status == 200


@pytest.mark.usefixtures("transfer")
def test_where_threads_are_few_nothing_waits_and_the_answer_says_so(ticker: DrivenTicker) -> None:
    first = at_once(ask(ticker, waits=False, prefer=b"wait=20"))
    assert first.status == 200
    assert field(first, "Preference-Applied") is None
    second = at_once(ask(ticker, waits=False, prefer=b"wait=20", if_none_match=tag(first)))
    assert second.status == 304
    assert field(second, "Preference-Applied") is None


@pytest.mark.usefixtures("transfer")
def test_who_leaves_leaves_nothing_behind(ticker: DrivenTicker) -> None:
    first = at_once(ask(ticker, prefer=b"wait=20"))
    waiting = ask(ticker, prefer=b"wait=20", if_none_match=tag(first))
    assert isinstance(waiting, Future)
    assert ticker.watched == 1
    waiting.cancel()
    assert not ticker.watched
    ticker.tick()


@pytest.mark.usefixtures("transfer")
def test_a_wait_ends_with_its_server(ticker: DrivenTicker) -> None:
    first = at_once(ask(ticker, prefer=b"wait=20"))
    waiting = ask(ticker, prefer=b"wait=20", if_none_match=tag(first))
    ticker.tick()
    ticker.end()
    assert at_once(waiting).status == 304


def test_a_wait_that_ends_before_the_first_look_is_answered_as_things_are(
    ticker: DrivenTicker, transfer: Transfer
) -> None:
    first = at_once(ask(ticker, prefer=b"wait=20"))
    same = ask(ticker, prefer=b"wait=20", if_none_match=tag(first))
    other = ask(ticker, prefer=b"wait=20", if_none_match=b'"another"')
    ticker.end()
    assert at_once(same).status == 304
    assert b'"running"' in body_of(at_once(other))
    assert not ticker.watched


def test_a_wait_that_ends_before_the_first_look_asks_a_store_far_away(clock: Clock) -> None:
    store = FarStore()
    ticker = DrivenTicker(Tracker(store=store), clock)
    waiting = ask(ticker, prefer=b"wait=20", if_none_match=b'"another"')
    assert isinstance(waiting, Future)
    ticker.end()
    assert not waiting.done()
    store.asked.pop().set_result(Snapshot(State.RUNNING, request_size=100))
    assert b'"running"' in body_of(at_once(waiting))
    ticker.tracker.close()


def test_two_threads_may_wake_it_at_once(
    ticker: DrivenTicker, transfer: Transfer, caplog: pytest.LogCaptureFixture
) -> None:
    asked = inquire(question(prefer=b"wait=20", if_none_match=b'"another"'), JSON)
    assert isinstance(asked, Inquiry)
    waiting = LongPoll(asked, ticker)
    ticker.tick()
    answer = at_once(waiting.answer)
    waiting.wake()
    assert at_once(waiting.answer) is answer
    assert not caplog.records


def test_a_store_far_away_is_asked(clock: Clock) -> None:
    store = FarStore()
    ticker = DrivenTicker(Tracker(store=store), clock)
    found = ask(ticker, prefer=b"wait=20")
    store.asked[0].set_exception(ZeroDivisionError())
    answer = at_once(found)
    assert answer.body == b'{"state": "unknown"}'
    assert tag(answer)


@pytest.mark.parametrize(
    ("prefer", "wait"),
    [
        (b"wait=20", 20),
        (b"wait=0", 0),
        (b"Wait = 7", 7),
        (b'wait="7"', 7),
        (b"respond-async, wait=7", 7),
        (b"wait=7, respond-async", 7),
        (b"wait=7; foo=bar", 7),
        (b"wait=31", 30),
        (b"wait=" + b"9" * 5000, 30),
        (b"wait=7, wait=8", 7),
        (b"await=7", 0),
        (b"wait=-7", 0),
        (b"wait=7s", 0),
        (b"wait=\xb2", 0),
        (b"wait", 0),
        (b"", 0),
    ],
)
def test_how_long_a_question_waits(prefer: bytes, wait: int) -> None:
    asked = inquire(question(prefer=prefer), JSON)
    assert isinstance(asked, Inquiry)
    assert asked.wait == wait
    assert asked.is_plain is not bool(wait)


def test_pages_of_allowed_origins_may_read_the_tag(ticker: DrivenTicker) -> None:
    responder = Responder(ticker.tracker, "json", "*", ticker)
    exposed = "Access-Control-Expose-Headers"
    answer = at_once(responder.answer(question(prefer=b"wait=1")))
    assert field(answer, exposed) == "ETag, Preference-Applied"
    assert field(at_once(responder.answer(question())), exposed) is None
