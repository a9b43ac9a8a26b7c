"""Both middlewares take the id of a request from where the app's callable finds it."""

from __future__ import annotations

import functools
import json
import logging
import re
from typing import Any

import pytest

from mod_progress.options import OptionError
from mod_progress.stores.memory import MemoryStore
from tests.test_dump_fronts import FRONTS, Front

ID = "0123456789abcdef"
DONE = "done"


@pytest.fixture(params=FRONTS)
def front(request: pytest.FixtureRequest) -> Front:
    return FRONTS[request.param]


def path_of(request: Any) -> str:
    """Return the path of an ASGI scope or a WSGI environ."""
    path: str = request["path"] if "path" in request else request["PATH_INFO"]
    return path


def in_path(request: Any) -> str | None:
    found = re.search("/x-progress-id:([^/]*)$", path_of(request))
    return found and found[1]


def state(front: Front, app: Any, identifier: str) -> str:
    found = front.ask(app, "GET", f"/progress?X-Progress-ID={identifier}")
    return str(json.loads(found.body)["state"])


@pytest.mark.parametrize(
    ("url", "tracked", "untracked"),
    [
        (f"/node/add/x-progress-id:{ID}", ID, None),
        (f"/node/add/x-progress-id:{ID}?X-Progress-ID=other", ID, "other"),
        ("/node/add/x-progress-id:own~secret", "own~secret", None),
        ("/node/add/x-progress-id:see~secret", None, "see~secret"),
        ("/x-progress-id:a&X-Progress-ID=b", "a%26X-Progress-ID%3Db", "b"),
        ("/elsewhere?X-Progress-ID=other", "other", None),
        ("/elsewhere", None, "other"),
        (f"/x-progress-id:{'x' * 129}?X-Progress-ID=other", None, "other"),
        ("/x-progress-id:?X-Progress-ID=other", None, "other"),
    ],
)
def test_the_callable_finds_the_id(
    front: Front, url: str, tracked: str | None, untracked: str | None
) -> None:
    app = front.make(store=MemoryStore(), identify=in_path)
    assert front.ask(app, "POST", url).body == b"ok"
    if tracked is not None:
        assert state(front, app, tracked) == DONE
    if untracked is not None:
        assert state(front, app, untracked) == "unknown"


def test_the_header_counts_where_it_finds_none(front: Front) -> None:
    app = front.make(store=MemoryStore(), identify=in_path)
    name = "X_PROGRESS_ID" if front is FRONTS["wsgi"] else "X-Progress-ID"
    front.ask(app, "POST", "/upload", **{name: ID})
    assert state(front, app, ID) == DONE


def fail(request: Any) -> str:
    raise RuntimeError("the session is broken")


@pytest.mark.parametrize("identify", [fail, lambda request: 3, lambda request: b"bytes"])
def test_one_that_fails_breaks_nothing_and_is_logged_once(
    front: Front, identify: Any, caplog: pytest.LogCaptureFixture
) -> None:
    app = front.make(store=MemoryStore(), identify=identify)
    for _ in range(3):
        assert front.ask(app, "POST", "/upload?X-Progress-ID=mine").body == b"ok"
    assert state(front, app, "mine") == "unknown"
    assert [record.getMessage() for record in caplog.records] == [
        "not tracked: the callable given as identify failed; this is logged once"
    ]


@pytest.mark.parametrize(
    ("identify", "said"),
    [
        (fail, "not tracked: the callable given as identify failed"),
        (lambda request: "a b", "not tracked: X-Progress-ID 'a b' is not 1 to 128 visible ASCII"),
        (lambda request: "", "not tracked: X-Progress-ID '' is not 1 to 128 visible ASCII"),
        (lambda request: "é\udcff", "is not 1 to 128 visible ASCII"),
        (lambda request: None, "not tracked: no X-Progress-ID in the query or the headers"),
    ],
)
def test_debug_says_why_not(
    front: Front, identify: Any, said: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    app = front.make(store=MemoryStore(), identify=identify, debug=True)
    assert front.ask(app, "POST", "/upload").body == b"ok"
    assert said in caplog.text


def test_it_is_asked_only_for_requests_that_may_be_tracked(front: Front) -> None:
    asked: list[str] = []

    def identify(request: Any) -> str:
        asked.append(path_of(request))
        return ID

    app = front.make(store=MemoryStore(), identify=identify, track="/upload")
    for method, url in [
        ("GET", "/upload"),
        ("POST", "/other"),
        ("POST", "/upload"),
        ("GET", "/progress"),
    ]:
        front.ask(app, method, url)
    assert asked == ["/upload"]
    assert state(front, app, ID) == DONE


def test_no_list_has_the_whole_id(front: Front) -> None:
    store = MemoryStore()
    app = front.make(store=store, identify=in_path, dump=lambda request: True)
    for identifier in (ID, "short", "own~secret-of-its-owner"):
        front.ask(app, "POST", f"/node/x-progress-id:{identifier}")
    app._tracker._publisher.close()
    rows = json.loads(front.ask(app, "GET", "/progress?format=dump").body)
    paths = sorted(row["path"] for row in rows)
    assert paths == [
        "/node/x-progress-id:01234567...",
        "/node/x-progress-id:own~secre...",
        "/node/x-progress-id:sh...",
    ]


async def asynchronous(request: Any) -> str:
    return ID


@pytest.mark.parametrize("value", ["/upload", asynchronous, 3])
def test_a_wrong_parameter_is_refused(front: Front, value: Any) -> None:
    with pytest.raises(OptionError, match=r"^identify: .* is not a callable, and no async one"):
        front.make(store="memory", identify=value)


def test_a_callable_object_will_do(front: Front) -> None:
    app = front.make(
        store=MemoryStore(), identify=functools.partial(lambda found, request: found, ID)
    )
    front.ask(app, "POST", "/upload")
    assert state(front, app, ID) == DONE
