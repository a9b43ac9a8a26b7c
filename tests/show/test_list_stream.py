"""A stream of the list: who gets one, and when it ends."""

from __future__ import annotations

import json
import os

import pytest

from mod_progress.show.dump import Permission, answer_dump
from mod_progress.show.events import LEAST_LIFE, MOST_LIFE
from mod_progress.show.list_stream import MOST_LISTS, MOST_STREAMS, ListStream
from tests.show.asking import at_once, question
from tests.show.list_viewer import Site, Viewer


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
