"""Real apps, real proxies and what the doctor finds."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from mod_progress.doctor import examine, parse_target
from tests.doctor.running import PASSING, app, nginx, odd_server

#: How long an upload takes.
SECONDS = 0.6

#: Seconds that the doctor waits for what should come about: long where it will, so that a busy
#: machine is not taken for a fault; and short where it will not.
WILL, WILL_NOT = 30.0, 2.0


def diagnose(
    port: int, path: str = "/upload", patience: float = WILL, **options: Any
) -> list[tuple[str, str]]:
    """Return the name and the detail of each fault that the doctor finds."""
    target = parse_target(f"http://127.0.0.1:{port}{path}", **options)
    return [(found.fault.name, found.detail) for found in examine(target, SECONDS, patience)]


def test_all_is_well(well: int) -> None:
    assert diagnose(well) == []


@pytest.mark.parametrize("path", ["/upload?a=b", "/with spaces/ü?q=ü", ""])
def test_any_address_of_an_app(well: int, path: str) -> None:
    assert diagnose(well, path) == []


def test_all_is_well_behind_a_proxy_that_passes_on(well: int, tmp_path: Path) -> None:
    with nginx(PASSING, well, tmp_path) as port:
        assert diagnose(port) == []


def test_a_proxy_that_buffers(well: int, tmp_path: Path) -> None:
    with nginx("", well, tmp_path) as port:
        ((name, detail),) = diagnose(port, patience=WILL_NOT)
    assert name == "buffered"
    assert detail.endswith("the app had 0")


@pytest.mark.parametrize(
    ("settings", "removed"),
    [
        ('proxy_set_header X-Progress-ID "";', ["the header X-Progress-ID"]),
        (
            "if ($request_method = POST) { set $args ''; }",
            ["the query parameter X-Progress-ID", "the query parameter x-progress-id"],
        ),
    ],
)
def test_a_proxy_that_removes_an_id(
    well: int, tmp_path: Path, settings: str, removed: list[str]
) -> None:
    with nginx(PASSING + settings, well, tmp_path) as port:
        found = diagnose(port, patience=WILL_NOT)
    assert found == [("id removed", spelling) for spelling in removed]


CACHE = f"{PASSING} proxy_cache answers; proxy_cache_valid 1m; proxy_ignore_headers Cache-Control;"


@pytest.mark.parametrize(
    ("settings", "detail"),
    [
        (CACHE, "the same question got an old answer"),
        (f"{CACHE} proxy_cache_key $uri; add_header Age 1;", "they carry the header Age"),
    ],
)
def test_a_cache_in_between(well: int, tmp_path: Path, settings: str, detail: str) -> None:
    with nginx(settings, well, tmp_path) as port:
        assert diagnose(port, patience=WILL_NOT) == [("cached", detail)]


@pytest.mark.parametrize(
    ("origin", "found"),
    [
        ("https://page.example", []),
        ("https://other.example", [("not allowed", "https://other.example")]),
    ],
)
def test_pages_of_another_origin(well: int, origin: str, found: list[tuple[str, str]]) -> None:
    assert diagnose(well, origin=origin) == found


@pytest.mark.parametrize(
    ("path", "name", "detail"),
    [
        ("/forbidden", "refused", "403 Forbidden"),
        ("/here-no-more", "moved", "308 Permanent Redirect, to /upload"),
        ("/members/upload", "login needed", "302 Found, to /account?next=/members/upload"),
        (
            "/staff/upload",
            "login needed",
            "302 Found, to https://sso.example/oauth2/authorize?client=app",
        ),
        ("/form", "redirected", "303 See Other, to /thanks"),
        ("/form-elsewhere", "redirected", "303 See Other, to https://pages.example/thanks"),
    ],
)
def test_an_app_that_answers_the_upload_in_another_way(
    well: int, path: str, name: str, detail: str
) -> None:
    assert diagnose(well, path) == [(name, detail)]


def test_a_session_goes_with_every_request(well: int) -> None:
    assert diagnose(well, "/members/upload", headers={"Cookie": "session=1"}) == []


@pytest.mark.parametrize(
    ("show", "detail"),
    [
        ("/elsewhere", "the answer is 200 OK, no progress"),
        ("/form", "the answer is 303 See Other, to /thanks, no progress"),
    ],
)
def test_nothing_shows(well: int, show: str, detail: str) -> None:
    assert diagnose(well, show=show) == [("not shown", detail)]


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"[1]",
        b"{}",
        b'"state"',
        b'{"state": 1}',
        b'{"state": "running", "received": "x"}',
        b'{"state": "running", "received": null}',
        b"\xff",
        b"[" * 100_000,
    ],
    ids=lambda answer: repr(answer[:40]),
)
def test_what_shows_something_else(answer: bytes) -> None:
    with odd_server(answer) as port:
        assert diagnose(port) == [("not shown", "the answer is 200 OK, no progress")]


def test_an_upload_that_is_not_tracked(tmp_path: Path) -> None:
    with app("not_tracked", tmp_path) as port:
        assert diagnose(port, patience=WILL_NOT) == [("not tracked", "")]


def test_an_upload_that_is_refused_before_it_is_tracked() -> None:
    with odd_server(b'{"state": "unknown"}', 401, "Unauthorized") as port:
        found = diagnose(port, patience=WILL_NOT)
    assert found == [("refused", "401 Unauthorized"), ("not tracked", "")]


def test_workers_that_do_not_share(tmp_path: Path) -> None:
    with app("not_shared", tmp_path, workers=4) as port:
        assert diagnose(port, patience=WILL_NOT) == [("not shared", "")]
