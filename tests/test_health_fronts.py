"""Both middlewares say at a path whether they work."""

from __future__ import annotations

import json
from typing import Any

import pytest

from mod_progress.options import OptionError
from mod_progress.stores.memory import MemoryStore
from tests.test_dump_fronts import FRONTS, Front


class BrokenStore(MemoryStore):
    def troubles(self) -> list[str]:
        return ["the store cannot be read"]


@pytest.fixture(params=FRONTS)
def front(request: pytest.FixtureRequest) -> Front:
    return FRONTS[request.param]


@pytest.mark.parametrize(
    ("store", "status", "said"),
    [
        (MemoryStore, 200, {"status": "ok", "reasons": []}),
        (BrokenStore, 503, {"status": "failing", "reasons": ["the store cannot be read"]}),
    ],
)
def test_the_health_of_a_middleware(
    front: Front, store: type[MemoryStore], status: int, said: dict[str, Any]
) -> None:
    app = front.make(store=store(), health="/health")
    found = front.ask(app, "GET", "/health")
    assert (found.status, json.loads(found.body)) == (status, said)
    assert front.ask(app, "HEAD", "/health")[::2] == (status, b"")
    assert front.ask(app, "GET", "/healthy").body == b"ok"
    assert front.ask(app, "POST", "/health").body == b"ok"


def test_there_is_no_such_path_unless_it_is_asked_for(front: Front) -> None:
    assert front.ask(front.make(store="memory"), "GET", "/health").body == b"ok"


def test_a_path_begins_with_a_slash(front: Front) -> None:
    with pytest.raises(OptionError, match="health: 'health' is not a path that begins with /"):
        front.make(store="memory", health="health")
