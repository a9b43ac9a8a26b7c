"""The list as a stream: what each event has, who shares one, and when a stream ends."""

from __future__ import annotations

import gc
import json
import os
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mod_progress.show.answer import Answer
from mod_progress.show.dump import Permission, answer_dump
from mod_progress.show.events import LEAST_LIFE, MOST_LIFE
from mod_progress.show.formats import EVENTS
from mod_progress.show.list_stream import MOST_LISTS, MOST_STREAMS, ListStream, LiveLists
from mod_progress.show.live_list import BEAT, PACE
from mod_progress.show.ticker import call_here
from mod_progress.stores.listing import Query
from mod_progress.tracker import Tracker
from mod_progress.transfer import Snapshot, State
from tests.clock import Clock
from tests.show.asking import at_once, question
from tests.show.driven_ticker import DrivenTicker
from tests.show.event_source import Event, EventSource
from tests.show.listed_store import ListedStore

RUNNING = Snapshot(State.RUNNING, 500, 0, 1000)
MOVED = Snapshot(State.RUNNING, 700, 0, 1000)
DONE = Snapshot(State.DONE, 1000, 0, 1000, 0, 200)


class Site:
    """A process whose lists are looked for when a test says so."""

    def __init__(self) -> None:
        self.store = ListedStore()
        self.clock = Clock()
        self.ticker = DrivenTicker(Tracker(store=self.store), self.clock)
        self.lists = LiveLists(self.ticker)

    def ask(
        self,
        query: bytes = b"",
        permission: Permission = Permission.CUT_IDS,
        cancels: bool = False,
    ) -> Answer:
        asked = question(query, accept=EVENTS.content_type.encode())
        return at_once(answer_dump(asked, self.ticker.tracker, permission, self.lists, cancels))

    def pass_time(self, seconds: float = PACE) -> None:
        self.clock.now += seconds
        self.ticker.tick()


class Viewer:
    """Reads a stream, and keeps the list by what its events say."""

    def __init__(self, site: Site, *asked: Any, **more: Any) -> None:
        answer = site.ask(*asked, **more)
        assert (answer.status, answer.fields) == (200, EVENTS.fields)
        assert isinstance(answer.body, ListStream)
        self.site = site
        self.stream = answer.body
        self.source = EventSource()
        self.woken = 0
        self.rows: dict[str, dict[str, Any]] = {}
        self.stream.open(call_here, self.wake)

    def wake(self) -> None:
        self.woken += 1

    def read(self) -> list[Event]:
        """Take what is there; return the events that it brings."""
        before = len(self.source.events)
        self.source.feed(self.stream.take())
        events = self.source.events[before:]
        for event in events:
            self._apply(event.name, event.json())
        return events

    def _apply(self, name: str, said: dict[str, Any]) -> None:
        if name == "trouble":
            return
        if name == "list":
            self.rows = {}
        for number, members in said["rows"].items():
            self.rows.setdefault(number, {}).update(members)
        for number in said["gone"]:
            del self.rows[str(number)]

    def begin(self) -> Event:
        """Read the first list."""
        self.site.ticker.tick()
        self.read()
        self.site.ticker.tick()
        (event,) = self.source.events or self.read()
        return event


@pytest.fixture
def site() -> Site:
    return Site()


def names(events: list[Event]) -> list[str]:
    return [event.name for event in events]


def test_first_it_says_that_it_is_open_and_then_all_there_is(site: Site) -> None:
    site.store.put("0123456789abcdef", RUNNING)
    viewer = Viewer(site)
    assert viewer.read() == []
    assert viewer.source.retry == 1000
    event = viewer.begin()
    assert event.name == "list"
    said = event.json()
    assert said.pop("now").endswith("Z")
    assert said == {
        "total": 1,
        "states": {"running": 1, "done": 0, "error": 0},
        "cancel": False,
        "gone": [],
        "rows": {
            "1": {
                "id": "01234567...",
                "method": "POST",
                "path": "/upload",
                "peer": "192.0.2.7",
                "direction": "upload",
                "started": "2023-11-14T22:12:20.000Z",
                "state": "running",
                "received": 500,
                "sent": 0,
                "request_size": 1000,
                "response_size": 0,
                "status": 0,
                "rate": 8,
            }
        },
    }


def test_then_it_says_what_has_changed_and_nothing_else(site: Site) -> None:
    for identifier in ("still", "moves", "goes"):
        site.store.put(identifier, RUNNING)
    viewer = Viewer(site)
    viewer.begin()
    site.pass_time()
    assert viewer.read() == []
    site.store.put("moves", MOVED)
    site.store.put("comes", DONE)
    del site.store.rows["goes"]
    site.pass_time()
    (event,) = viewer.read()
    said = event.json()
    assert (event.name, said["states"]) == ("changes", {"running": 2, "done": 1, "error": 0})
    assert (said["rows"]["2"], said["gone"]) == ({"received": 700, "rate": 12}, [1])
    assert (said["rows"]["4"]["id"], said["rows"]["4"]["state"]) == ("co...", "done")
    assert len(said["rows"]) == 2


def test_a_transfer_that_takes_an_id_over_is_described_anew(site: Site) -> None:
    site.store.put("a", DONE)
    viewer = Viewer(site)
    viewer.begin()
    site.store.put("a", RUNNING, ago=1, path="/other")
    site.pass_time()
    (event,) = viewer.read()
    (row,) = event.json()["rows"].values()
    assert (row["path"], row["state"], len(row)) == ("/other", "running", 13)


snapshots = st.builds(
    Snapshot,
    st.sampled_from([State.RUNNING, State.DONE, State.ERROR]),
    *[st.integers(0, 3)] * 2,
    st.none() | st.integers(0, 3),
    *[st.integers(0, 3)] * 2,
)
stages = st.lists(st.dictionaries(st.sampled_from("abcdef"), snapshots), min_size=1, max_size=8)


@settings(max_examples=40)
@given(stages, st.lists(st.booleans(), min_size=8, max_size=8))
def test_whatever_happens_each_viewer_has_the_list(
    stages: list[dict[str, Snapshot]], reads: list[bool]
) -> None:
    site = Site()
    steady, lazy = Viewer(site), Viewer(site)
    for stage, reading in zip(stages, reads, strict=False):
        site.store.rows = {}
        for identifier, snapshot in stage.items():
            site.store.put(identifier, snapshot, path=f"/at-{identifier}")
        site.pass_time(2 * PACE)
        steady.read()
        if reading:
            lazy.read()
    for _ in range(2):
        lazy.read()
        steady.read()
        site.pass_time(2 * PACE)
    for viewer in (lazy, steady):
        viewer.read()
        found = {row["path"]: row["state"] for row in viewer.rows.values()}
        assert found == {f"/at-{each}": snapshot.state for each, snapshot in stages[-1].items()}


def test_all_who_ask_the_same_share_one_question_and_its_bytes(site: Site) -> None:
    viewers = [Viewer(site, b"limit=5000&sort=state") for _ in range(3)]
    viewers += [Viewer(site, b"sort=state&limit=5000")]
    for viewer in viewers:
        viewer.begin()
    asked = len(site.store.asked)
    site.store.put("a", RUNNING)
    site.pass_time()
    assert len(site.store.asked) == asked + 1
    first, *others = [viewer.stream.take() for viewer in viewers]
    assert b"event: changes" in first
    assert all(other is first for other in others)


def test_each_question_and_permission_has_a_list_of_its_own(site: Site) -> None:
    site.store.put("0123456789abcdef", RUNNING)
    site.store.put("another", DONE, path="/other")
    viewers = [
        Viewer(site),
        Viewer(site, permission=Permission.WHOLE_IDS),
        Viewer(site, cancels=True),
        Viewer(site, b"state=done&path=/other"),
    ]
    said = [viewer.begin().json() for viewer in viewers]
    assert [each["cancel"] for each in said] == [False, False, True, False]
    ids = [{row["id"] for row in each["rows"].values()} for each in said]
    assert ids == [
        {"01234567...", "ano..."},
        {"0123456789abcdef", "another"},
        {"01234567...", "ano..."},
        {"ano..."},
    ]


def test_who_missed_a_few_events_gets_those_and_who_missed_more_the_list(site: Site) -> None:
    slow, slower = Viewer(site), Viewer(site)
    slow.begin()
    slower.begin()
    woken = slow.woken
    for received in range(3):
        site.store.put("a", RUNNING._replace(received=received))
        site.pass_time()
    assert slow.woken == woken + 1
    assert names(slow.read()) == ["changes"] * 3
    for received in range(3, 9):
        site.store.put("a", RUNNING._replace(received=received))
        site.pass_time()
    assert slower.read() == []
    site.pass_time()
    assert names(slower.read()) == ["list"]
    assert [row["received"] for row in slower.rows.values()] == [8]


def test_a_quiet_list_says_now_and_then_that_it_is_there(site: Site) -> None:
    viewer = Viewer(site)
    viewer.begin()
    site.pass_time(BEAT - 0.1)
    assert viewer.read() == []
    site.pass_time(0.1)
    site.pass_time()
    (event,) = viewer.read()
    assert (event.name, event.json()["rows"], event.json()["gone"]) == ("changes", {}, [])


def test_a_store_in_trouble_is_named_and_the_list_goes_on(site: Site) -> None:
    site.store.put("a", RUNNING)
    viewer = Viewer(site)
    viewer.begin()
    site.store.trouble = "it is gone"
    site.pass_time()
    (event,) = viewer.read()
    assert event.name == "trouble"
    assert event.json() == {"error": "the transfers cannot be listed: it is gone"}
    late = Viewer(site)
    site.pass_time()
    assert names(late.read()) == []
    site.store.trouble = ""
    site.store.put("a", MOVED)
    site.pass_time()
    assert names(viewer.read())[-1] == "changes"
    assert names(late.read()) == ["list"]
    assert late.rows.keys() == viewer.rows.keys() == {"1"}


def test_a_question_without_an_answer_is_asked_again(site: Site) -> None:
    site.store.silent = True
    viewer = Viewer(site)
    site.ticker.tick()
    assert viewer.read() == []
    site.store.silent = False
    site.pass_time(60 - LEAST_LIFE)
    site.ticker.tick()
    assert names(viewer.read()) == ["list"]
    (late,) = site.store.waiting
    late.set_result(site.store.select(Query()))
    site.ticker.tick()
    assert viewer.read() == []


def test_a_list_that_cannot_be_made_is_tried_again(
    site: Site, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    viewer = Viewer(site)
    monkeypatch.setattr("mod_progress.show.live_list.count_states", lambda page: 1 / 0)
    site.pass_time()
    monkeypatch.undo()
    site.pass_time()
    viewer.read()
    site.pass_time()
    assert names(viewer.source.events or viewer.read()) == ["list"]
    assert "a list is not kept up to date" in caplog.text


def test_a_stream_ends_by_itself_within_a_minute(site: Site) -> None:
    viewers = [Viewer(site) for _ in range(20)]
    site.pass_time(LEAST_LIFE - 0.1)
    for viewer in viewers:
        viewer.read()
    assert not any(viewer.stream.ended for viewer in viewers)
    site.pass_time((MOST_LIFE - LEAST_LIFE) / 2)
    for viewer in viewers:
        viewer.read()
    assert {viewer.stream.ended for viewer in viewers} == {True, False}
    site.pass_time(MOST_LIFE)
    for viewer in viewers:
        viewer.read()
        assert viewer.stream.ended
        assert viewer.stream.take() == b""
    assert site.ticker.watched == 0


def test_a_stream_ends_with_its_server(site: Site) -> None:
    viewer = Viewer(site)
    viewer.begin()
    woken = viewer.woken
    site.ticker.end()
    assert viewer.woken == woken + 1
    viewer.read()
    assert viewer.stream.ended
    late = Viewer(site)
    assert late.stream.take() == b"retry: 1000\n\n"
    assert late.stream.ended
    assert site.ticker.watched == 0


def test_whoever_cannot_be_woken_leaves_nothing_behind(site: Site) -> None:
    def closed(call: object) -> None:
        raise RuntimeError("the event loop is closed")

    answer = site.ask()
    assert isinstance(answer.body, ListStream)
    answer.body.open(closed, lambda: None)
    for _ in range(3):
        site.pass_time()
    assert answer.body.ended
    assert site.ticker.watched == 0


def test_a_child_process_has_no_lists(site: Site) -> None:
    viewer = Viewer(site)
    viewer.begin()
    child = os.fork()
    if not child:
        os._exit(site.ticker.watched + len(site.lists._lists))
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    viewer.stream.close()
    gc.collect()


@pytest.mark.parametrize(
    ("query", "status"), [(b"limit=5000", 200), (b"limit=5001", 400), (b"sort=name", 400)]
)
def test_what_may_be_asked(site: Site, query: bytes, status: int) -> None:
    assert site.ask(query).status == status


def test_who_may_not_see_the_list_gets_no_stream(site: Site) -> None:
    assert site.ask(permission=Permission.NOTHING).status == 403


def test_where_threads_are_few_there_is_no_stream(site: Site) -> None:
    asked = question(b"", accept=b"text/event-stream")
    answer = at_once(answer_dump(asked, site.ticker.tracker, Permission.CUT_IDS))
    assert answer.status == 406


def test_there_are_so_many_streams_and_lists_at_most(site: Site) -> None:
    viewers = [Viewer(site, b"limit=%d" % (1 + each)) for each in range(MOST_LISTS)]
    refused = site.ask(b"limit=99")
    assert refused.status == 503
    assert isinstance(refused.body, bytes)
    assert "too many" in json.loads(refused.body)["error"]
    viewers += [Viewer(site, b"limit=1") for _ in range(MOST_STREAMS - MOST_LISTS)]
    assert site.ask(b"limit=1").status == 503
    viewers.pop().stream.close()
    assert site.ask(b"limit=1").status == 200
