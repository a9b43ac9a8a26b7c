"""The folder of the dashboard: what each of its paths is, and who may have it."""

from __future__ import annotations

import json
import re
from importlib.resources import files

import pytest

from mod_progress.options import Options
from mod_progress.show.answer import Answer
from mod_progress.show.dashboard import FILES, PAGE, answer_dashboard, dashboard_paths
from mod_progress.show.dump import Permission
from mod_progress.show.question import Question
from mod_progress.stores.memory import MemoryStore
from mod_progress.tracker import Tracker

WEB = files("mod_progress") / "web"


@pytest.fixture(scope="module")
def tracker() -> Tracker:
    return Tracker(Options(), MemoryStore())


def ask(tracker: Tracker, path: str, permission: Permission = Permission.CUT_IDS) -> Answer:
    question = Question("GET", b"", lambda name: None)
    answer = answer_dashboard(path, question, tracker, permission)
    return answer if isinstance(answer, Answer) else answer.result(20)


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/all/", 200),
        ("/all/dump", 200),
        *((f"/all/{name}", 200) for name in FILES),
        ("/all", 308),
        ("/all/page.js", 404),
        ("/all/dashboard.html", 404),
    ],
)
def test_each_path(tracker: Tracker, path: str, status: int) -> None:
    assert ask(tracker, path).status == status
    refused = ask(tracker, path, Permission.NOTHING)
    assert (refused.status, b"not for you" in bytes(refused.body)) == (403, True)  # type: ignore[arg-type]


def test_the_list_is_beside_the_page(tracker: Tracker) -> None:
    assert ask(tracker, "/all/dump").body == b"[]\n"


def test_the_page_may_do_nothing_but_what_it_needs(tracker: Tracker) -> None:
    answer = ask(tracker, "/all/")
    fields = dict(answer.fields)
    assert answer.body == (WEB / PAGE).read_bytes()
    policy = fields["Content-Security-Policy"]
    assert policy.startswith("default-src 'none'; script-src 'self'; style-src 'self';")
    assert "unsafe" not in policy
    assert "frame-ancestors 'none'" in policy


@pytest.mark.parametrize(
    ("path", "location"),
    [("/all", "./all/"), ("/at/my%20list", "./my%2520list/"), ("/a:b", "./a%3Ab/")],
)
def test_a_path_without_a_slash_leads_to_the_folder(
    tracker: Tracker, path: str, location: str
) -> None:
    assert dict(ask(tracker, path).fields)["Location"] == location


def test_whatever_the_files_load_is_in_the_folder() -> None:
    loaded = re.findall(r'(?:src|href)="([^"]+)"', (WEB / PAGE).read_text())
    for name in FILES:
        loaded += re.findall(r'^import .* from "\./([^"]+)";$', (WEB / name).read_text(), re.M)
    assert {*loaded} == {*FILES}


def test_the_paths_of_a_folder() -> None:
    paths = dashboard_paths("/all/")
    assert {"/all", "/all/", "/all/dump", "/all/dashboard.js"} <= paths
    assert len(paths) == len(FILES) + 3
    assert "" not in dashboard_paths("/")
    assert json.dumps(sorted(paths)).count("//") == 0
