"""The metrics of a real worker."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from mod_progress.gateway.actions.metrics import Metrics
from mod_progress.stores.memory import MemoryStore
from tests.gateway.running import Gateway


@pytest.mark.parametrize(
    ("method", "accept", "status", "content_type", "end"),
    [
        ("GET", "application/openmetrics-text", 200, "application/openmetrics-text", b"# EOF\n"),
        ("GET", "*/*", 200, "text/plain", b"\n"),
        ("HEAD", "*/*", 200, "text/plain", b""),
        ("POST", "*/*", 405, "text/plain", b"this address takes GET, HEAD\n"),
    ],
)
def test_the_answers(
    gateway: Callable[..., Gateway],
    method: str,
    accept: str,
    status: int,
    content_type: str,
    end: bytes,
) -> None:
    running = gateway(Metrics(), store=MemoryStore())
    found = running.request(method, "/metrics", headers={"Accept": accept})
    assert found.status == status
    assert found.headers["content-type"].startswith(content_type)
    assert found.body.endswith(end)
