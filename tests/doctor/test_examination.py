"""Real apps, real proxies and what the doctor finds."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from mod_progress.cli import main
from mod_progress.doctor import Finding, examine, faults, parse_target
from mod_progress.doctor.examination import Course, judge_stream
from mod_progress.doctor.stream import Stream
from mod_progress.doctor.target import Poll, Reply
from mod_progress.doctor.upload import UPLOAD_SIZE
from tests.doctor.running import (
    PASSING,
    app,
    nginx,
    nginx_with,
    odd_server,
    scarce_threads,
)

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


GZIP = "gzip on; gzip_proxied any; gzip_types text/event-stream;"
IGNORING = "proxy_ignore_headers X-Accel-Buffering;"

#: How nginx passes on what is below each path.
STREAMS = {
    "/passed/": PASSING,
    "/compressed/": PASSING + GZIP,
    "/held/": PASSING + GZIP + IGNORING,
    "/refused/": PASSING + 'proxy_set_header Accept "";',
    "/changed/": PASSING + "proxy_hide_header Cache-Control; add_header Cache-Control no-store;",
    "/silent/": PASSING + "proxy_hide_header Cache-Control;",
}


@pytest.fixture(scope="module")
def nginx_port(gateway_port: int, tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    with nginx_with(STREAMS, gateway_port, tmp_path_factory.mktemp("nginx")) as port:
        yield port


def test_all_is_well_with_the_gateway(gateway_port: int) -> None:
    assert diagnose(gateway_port) == []


@pytest.mark.parametrize(
    ("path", "found", "patience"),
    [
        ("/passed", [], WILL),
        ("/compressed", [("stream compressed", "gzip")], WILL),
        (
            "/held",
            [("stream held back", "none came before nine tenths of the upload were sent")],
            WILL_NOT,
        ),
        ("/refused", [("stream refused", "200 OK, application/json")], WILL),
        ("/changed", [("stream changed", "`Cache-Control: no-store`")], WILL),
        ("/silent", [("stream changed", "nothing")], WILL),
    ],
)
def test_a_stream_behind_nginx(
    nginx_port: int, path: str, found: list[tuple[str, str]], patience: float
) -> None:
    show = f"{path}/progress"
    assert diagnose(nginx_port, f"{path}/upload", patience, show=show) == found


def test_the_command_names_the_setting(nginx_port: int, capsys: pytest.CaptureFixture[str]) -> None:
    url = f"http://127.0.0.1:{nginx_port}/compressed/upload"
    assert main(["doctor", url, "--show", "/compressed/progress", "--seconds", "0.5"]) == 0
    what, _, setting, well = capsys.readouterr().out.splitlines()
    assert what.startswith("stream compressed: The stream of events is compressed (gzip), ")
    assert setting.startswith("    nginx (Server: nginx/")
    assert "`gzip off;` in a location for /compressed/progress" in setting
    assert well.startswith("All is well")


def test_an_app_that_keeps_no_stream_open(tmp_path: Path) -> None:
    with scarce_threads(tmp_path) as port:
        assert diagnose(port) == [("no stream", "406 Not Acceptable")]


def make_course(
    resumed: float | None = 10.0, *, shown: bool = True, status: int = 200, **stream: Any
) -> Course:
    """Return what an upload looked like from outside whose stream was like that."""
    read = Stream(parse_target("http://127.0.0.1/"), "id")
    read.reply = Reply(status, "OK")
    read.fields["Content-Type"] = "text/event-stream"
    read.fields["Cache-Control"] = "no-store, no-transform"
    read.complete, read.lasted = True, 20.0
    for name, value in stream.items():
        setattr(read, name, value)
    poll = Poll(UPLOAD_SIZE, "done")
    return Course([poll], poll, poll, Reply(200, "OK"), read, resumed, shown)


@pytest.mark.parametrize(
    ("seen", "found"),
    [
        (make_course(first_event=1, first_running=2), []),
        (make_course(first_event=1, first_running=11), [faults.STREAM_HELD]),
        (make_course(first_event=1), [faults.STREAM_HELD]),
        (make_course(first_event=11, first_running=11), [faults.STREAM_HELD]),
        (make_course(), [faults.STREAM_HELD]),
        (make_course(reply=None), [faults.STREAM_HELD]),
        # The upload is held back: the stream has nothing to tell.
        (make_course(first_event=1, shown=False), []),
        (make_course(first_event=11, shown=False), [faults.STREAM_HELD]),
        # The upload was answered early.
        (make_course(None, first_event=11), []),
        (make_course(first_event=1, complete=False, lasted=2.0), [faults.STREAM_CUT]),
        (
            make_course(first_event=1, first_running=2, complete=False, lasted=44.0),
            [faults.STREAM_CUT],
        ),
        # It ended by itself, in time, and a page comes back.
        (make_course(first_event=1, first_running=2, complete=False, lasted=45.0), []),
        (make_course(status=406), [faults.NO_STREAM]),
        (make_course(status=502), [faults.STREAM_REFUSED]),
    ],
)
def test_what_a_stream_is_judged_by(seen: Course, found: list[faults.Fault]) -> None:
    assert [finding.fault for finding in judge_stream(seen, "/progress")] == found


def test_every_proxy_is_named_where_none_tells_its_name() -> None:
    seen = make_course(first_event=1)
    seen.stream.fields["X-Accel-Buffering"] = "no"
    ((fault, detail, advice),) = judge_stream(seen, "/a/{b}")
    assert (fault, detail) == Finding(
        faults.STREAM_HELD, "only the first came before nine tenths of the upload were sent"
    )[:2]
    assert [each.partition(":")[0] for each in advice] == [
        "nginx",
        "Varnish",
        "Apache",
        "Microsoft-IIS",
        "Cloudflare",
    ]
    assert "location for /a/{b}." in advice[0]
