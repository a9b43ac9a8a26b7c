"""Both middlewares serve the dashboard to those who may list all transfers, and to nobody else."""

from __future__ import annotations

import json
from typing import Any

import pytest

from mod_progress.options import OptionError
from mod_progress.stores.memory import MemoryStore
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
