"""The health of a real worker: while it serves, while it ends, and when its clock stands still."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Callable
from typing import Any

import pytest

from mod_progress.gateway.actions import health
from mod_progress.gateway.actions.health import Health
from mod_progress.gateway.limits import Limits
from mod_progress.gateway.server.worker import Worker
from tests.gateway.running import Gateway, eventually

Start = Callable[..., Gateway]

OK = {"status": "ok", "reasons": []}


@pytest.fixture
def running(gateway: Start) -> Gateway:
    return gateway(Health(), limits=Limits(drain_time=30.0))


def test_a_worker_that_serves(running: Gateway) -> None:
    answer = running.request("GET", "/health")
    assert (answer.status, answer.json()) == (200, OK)
    assert answer.headers["cache-control"] == "no-store"
    assert running.request("HEAD", "/health").status == 200
    assert running.request("POST", "/health").status == 405


@pytest.mark.parametrize(
    ("number", "status", "reasons"),
    [
        (signal.SIGTERM, 503, ["this server is shutting down"]),
        (signal.SIGQUIT, 200, []),  # it has a successor
    ],
)
def test_a_worker_that_ends(
    running: Gateway, number: signal.Signals, status: int, reasons: list[str]
) -> None:
    with running.connect() as connection:
        connection.sendall(b"GET /health HTTP/1.1\r\nHost: a\r\nConnec")
        assert running.request("GET", "/").status == 200  # it has read what came before
        os.kill(running.pid, number)
        eventually(lambda: not accepts(running))
        connection.sendall(b"tion: close\r\n\r\n")
        answer = b"".join(iter(lambda: connection.recv(65536), b""))
    head, _, body = answer.partition(b"\r\n\r\n")
    assert (int(head[9:12]), json.loads(body)["reasons"]) == (status, reasons)


def accepts(running: Gateway) -> bool:
    try:
        running.connect().close()
    except ConnectionRefusedError:
        return False
    return True


def test_a_clock_that_stands_still(gateway: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    tick = Worker._tick

    def tick_once(worker: Worker) -> Any:
        if not worker._listening:
            tick(worker)

    # The worker is forked from this process, and what is patched with it.
    monkeypatch.setattr(Worker, "_tick", tick_once)
    monkeypatch.setattr(health, "_LATE", 0.01)
    running = gateway(Health())
    eventually(lambda: running.request("GET", "/health").status == 503)
    (reason,) = running.request("GET", "/health").json()["reasons"]
    assert reason.startswith("no limit of time is enforced: the last tick was ")
