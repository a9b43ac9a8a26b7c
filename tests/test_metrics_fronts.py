"""Both middlewares answer with the metrics to those whom the app permits it."""

from __future__ import annotations

import sys
from typing import Any

import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families

from mod_progress.options import MissingExtraError, OptionError
from mod_progress.stores.memory import MemoryStore
from tests.test_dump_fronts import FRONTS, Front, Plain, ask_asgi, fail

OPENMETRICS = "application/openmetrics-text; version=1.0.0"


@pytest.fixture(params=FRONTS)
def front(request: pytest.FixtureRequest) -> Front:
    return FRONTS[request.param]


@pytest.mark.parametrize(
    ("permit", "status"),
    [
        (lambda request: True, 200),
        (lambda request: "yes", 403),
        (lambda request: None, 403),
        (fail, 403),
    ],
)
@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_the_callable_says_who_may(front: Front, permit: Any, status: int, method: str) -> None:
    app = front.make(store=MemoryStore(), metrics="/metrics", metrics_for=permit)
    front.ask(app, "POST", "/upload?X-Progress-ID=secret-id")
    app._tracker._publisher.close()
    found = front.ask(app, method, "/metrics", accept=OPENMETRICS)
    assert found.status == status
    if method == "HEAD":
        assert found.body == b""
    elif status == 200:
        assert found.headers["content-type"].startswith("application/openmetrics-text")
        text = found.body.decode()
        parse: Any = text_string_to_metric_families  # it has no types
        samples = {
            (each.name, *each.labels.values()): each.value
            for family in parse(text)
            for each in family.samples
        }
        # In WSGI and ASGI a POST without a body is a download.
        assert samples["mod_progress_transfers_total", "download", "done"] == 1
        assert "secret" not in text
        assert "/upload" not in text


def test_an_async_callable_of_an_asgi_app() -> None:
    async def permit(scope: Any) -> bool:
        return bool(scope["query_string"] == b"me")

    app = FRONTS["asgi"].make(store=MemoryStore(), metrics="/metrics", metrics_for=permit)
    assert ask_asgi(app, "GET", "/metrics?me").status == 200
    assert ask_asgi(app, "GET", "/metrics?you").status == 403


def test_other_requests_are_those_of_the_app(front: Front) -> None:
    app = front.make(store=MemoryStore(), metrics="/metrics", metrics_for=lambda request: True)
    assert front.ask(app, "POST", "/metrics").body == b"ok"
    assert front.ask(app, "GET", "/metrics/more").body == b"ok"
    assert front.ask(front.make(store="memory"), "GET", "/metrics").body == b"ok"


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"metrics": "metrics"}, "metrics: 'metrics' is not a path that begins with /"),
        ({"metrics_for": None}, "metrics_for: None is not a callable that says who may read"),
        ({"metrics_for": True}, "metrics_for: True is not a callable that says who may read"),
        ({"store": Plain()}, "which metrics needs"),
    ],
)
def test_a_wrong_parameter_is_refused(
    front: Front, parameters: dict[str, Any], message: str
) -> None:
    right = {"store": "memory", "metrics": "/metrics", "metrics_for": lambda request: True}
    with pytest.raises(OptionError) as raised:
        front.make(**right | parameters)
    assert message in str(raised.value)


def test_without_the_extra_it_says_so(front: Front, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "prometheus_client", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'mod-progress\[metrics\]'"):
        front.make(store="memory", metrics="/metrics", metrics_for=lambda request: True)
