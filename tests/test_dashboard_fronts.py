"""Both middlewares serve the dashboard to those who may list all transfers, and to nobody else."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import urlencode

import pytest

from mod_progress.options import OptionError
from mod_progress.stores.memory import MemoryStore
from mod_progress.transfer import State
from tests.test_dump_fronts import FRONTS, Front

ID = "0123456789abcdef"


@pytest.fixture(params=FRONTS)
def front(request: pytest.FixtureRequest) -> Front:
    return FRONTS[request.param]


@pytest.mark.parametrize(
    ("path", "status", "has"),
    [
        ("/all/", 200, b"<title>Transfers"),
        ("/all/dashboard.js", 200, b"import"),
        ("/all/progress.js", 200, b"export"),
        ("/all/dump", 200, b"[]"),
        ("/all", 308, b""),
    ],
)
def test_who_may_see_it(front: Front, path: str, status: int, has: bytes) -> None:
    def dump(request: Any) -> bool:
        headers = dict(request.get("headers", ()))
        return "let-me" in (request.get("HTTP_TOKEN"), headers.get(b"token", b"").decode())

    app = front.make(store=MemoryStore(), dump=dump, dashboard="/all/")
    found = front.ask(app, "GET", path, token="let-me")
    assert (found.status, has in found.body) == (status, True)
    assert front.ask(app, "HEAD", path, token="let-me").body == b""
    refused = front.ask(app, "GET", path)
    assert (refused.status, list(json.loads(refused.body))) == (403, ["error"])


def test_what_it_asks_is_no_transfer(front: Front) -> None:
    store = MemoryStore()
    app = front.make(
        store=store, dump=lambda request: "ids", dashboard="/all/", methods=["GET", "POST"]
    )
    query = f"X-Progress-ID={ID}"
    front.ask(app, "POST", f"/upload?{query}")
    for path in ("/all/", "/all/dump", "/all/dashboard.js", "/all"):
        front.ask(app, "GET", f"{path}?{query}-{path.count('/')}")
    app._tracker._publisher.close()
    found = front.ask(app, "GET", "/all/dump")
    assert [row["id"] for row in json.loads(found.body)] == [ID]


@pytest.mark.parametrize(
    ("cancel", "status", "allow"),
    [
        (None, 200, None),
        (lambda request: True, 204, "GET, HEAD, DELETE"),
        (lambda request: False, 403, None),
        (lambda request: "yes", 403, None),
    ],
)
def test_who_may_cancel_a_row(front: Front, cancel: Any, status: int, allow: str | None) -> None:
    app = front.make(
        store=MemoryStore(), dump=lambda request: True, cancel=cancel, dashboard="/all/"
    )
    transfer = app._tracker.track("POST", f"X-Progress-ID={ID}".encode(), None, 10)
    listed = front.ask(app, "GET", "/all/dump")
    assert listed.headers.get("allow") == allow
    (row,) = json.loads(listed.body)
    named = urlencode({"id": row["id"], "started": row["started"]})
    found = front.ask(app, "DELETE", f"/all/dump?{named}")
    # The app has it where nobody may cancel.
    assert (found.status, found.body == b"ok") == (status, cancel is None)
    assert transfer.state is (State.ERROR if status == 204 else State.RUNNING)
    assert front.ask(app, "DELETE", "/all/").body == b"ok"


def test_who_may_not_see_a_row_may_not_cancel_it(front: Front) -> None:
    app = front.make(
        store=MemoryStore(),
        dump=lambda request: False,
        cancel=lambda request: True,
        dashboard="/all/",
    )
    assert front.ask(app, "DELETE", "/all/dump?id=a&started=b").status == 403


def test_the_app_has_all_else(front: Front) -> None:
    app = front.make(
        store=MemoryStore(),
        dump=lambda request: True,
        dashboard="/",
        show="/progress",
        script="/progress.js",
    )
    for method, path in (("POST", "/"), ("GET", "/all"), ("GET", "/page.js")):
        assert front.ask(app, method, path).body == b"ok"
    assert front.ask(app, "GET", "/progress").status == 400
    assert front.ask(app, "GET", "/").status == 200


def test_a_show_or_a_script_at_the_same_path_needs_no_permission(front: Front) -> None:
    app = front.make(
        store=MemoryStore(),
        dump=lambda request: False,
        dashboard="/progress/",
        script="/progress/progress.js",
    )
    assert front.ask(app, "GET", "/progress?X-Progress-ID=a").status == 200
    assert front.ask(app, "GET", "/progress/progress.js").status == 200
    assert front.ask(app, "GET", "/progress/").status == 403


@pytest.mark.parametrize(
    "parameters",
    [
        {"dashboard": "/all/"},
        {"dashboard": "/all", "dump": lambda request: True},
        {"dashboard": "all/", "dump": lambda request: True},
        {"dashboard": True, "dump": lambda request: True},
    ],
)
def test_a_wrong_parameter_is_refused(front: Front, parameters: dict[str, Any]) -> None:
    with pytest.raises(OptionError, match="is not a path such as /transfers/, beside"):
        front.make(store="memory", **parameters)
