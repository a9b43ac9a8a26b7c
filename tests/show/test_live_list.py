"""The list as it is pushed: what each event has, and who shares one."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mod_progress.show.dump import Permission
from mod_progress.show.events import LEAST_LIFE
from mod_progress.show.live_list import BEAT, PACE
from mod_progress.stores.listing import Query
from mod_progress.transfer import Snapshot, State
from tests.show.event_source import Event
from tests.show.list_viewer import Site, Viewer

RUNNING = Snapshot(State.RUNNING, 500, 0, 1000)
MOVED = Snapshot(State.RUNNING, 700, 0, 1000)
DONE = Snapshot(State.DONE, 1000, 0, 1000, 0, 200)


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
            site.store.put(f"id of {identifier}", snapshot, path=f"/at-{identifier}")
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
