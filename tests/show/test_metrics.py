"""The metrics as Prometheus reads them, whatever the store does."""

from __future__ import annotations

from concurrent.futures import Future
from typing import Any

import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families as parse_text

from mod_progress import publisher
from mod_progress.show.answer import Answer
from mod_progress.show.metrics import answer_metrics
from mod_progress.show.question import Question
from mod_progress.stores.memory import MemoryStore
from mod_progress.stores.redis.store import RedisStore
from mod_progress.tracker import Tracker
from tests.stores.store_servers import RedisServer, eventually

OPENMETRICS = b"application/openmetrics-text;version=1.0.0,text/plain;version=0.0.4;q=0.5"

Samples = dict[tuple[str, ...], float]


def answer(tracker: Tracker, accept: bytes | None = OPENMETRICS) -> Answer:
    fields = {} if accept is None else {b"accept": accept}
    found = answer_metrics(Question("GET", b"", fields.get), tracker)
    return found.result(timeout=20) if isinstance(found, Future) else found


def samples(tracker: Tracker, accept: bytes | None = OPENMETRICS) -> Samples:
    status, fields, body = answer(tracker, accept)
    assert (status, dict(fields)["Cache-Control"]) == (200, "no-store")
    assert isinstance(body, bytes)
    parse: Any = parse_text if accept is None else parse_openmetrics  # it has no types
    return {
        (each.name, *each.labels.values()): each.value
        for family in parse(body.decode())
        for each in family.samples
    }


@pytest.fixture(autouse=True)
def _no_page_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mod_progress.stores.walks.KEEP", 0.0)


@pytest.mark.parametrize("accept", [OPENMETRICS, None])
def test_all_metrics(accept: bytes | None) -> None:
    tracker = Tracker(store=MemoryStore())
    for number, size in enumerate([100, 100, None, 0, 0]):
        transfer = tracker.track("POST", b"X-Progress-ID=%d" % number, None, size)
        assert transfer is not None
        transfer.received = 30 if size else 0
        if number in (0, 3):
            transfer.response_started(200 if number else 500, 8)
            transfer.written = 8
            transfer.delivered()
    eventually(lambda: samples(tracker)["mod_progress_bytes_total", "upload"] == 60)
    found = samples(tracker, accept)
    expected = {
        ("mod_progress_transfers_running", "upload"): 2,
        ("mod_progress_transfers_running", "download"): 1,
        ("mod_progress_transfers_total", "upload", "done"): 0,
        ("mod_progress_transfers_total", "upload", "error"): 1,
        ("mod_progress_transfers_total", "download", "done"): 1,
        ("mod_progress_transfers_total", "download", "error"): 0,
        ("mod_progress_bytes_total", "upload"): 60,
        ("mod_progress_bytes_total", "download"): 16,
        ("mod_progress_table_entries",): 5,
        ("mod_progress_store_up",): 1,
        ("mod_progress_transfer_duration_seconds_count",): 2,
        ("mod_progress_transfer_duration_seconds_bucket", "+Inf"): 2,
        ("mod_progress_transfer_duration_seconds_bucket", "60.0"): 2,
    }
    assert {name: found[name] for name in expected} == expected
    assert found["mod_progress_publish_lag_seconds",] < 60
    tracker.close()


def test_a_redis_that_is_killed(redis_server: RedisServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(publisher, "RETRY", 0.05)
    tracker = Tracker(store=RedisStore(redis_server.url.replace("://", "://:geheim@")))
    eventually(lambda: samples(tracker)["mod_progress_store_up",] == 1)
    redis_server.kill()
    transfer = tracker.track("POST", b"X-Progress-ID=a", None, 10)
    assert transfer is not None
    eventually(lambda: samples(tracker)["mod_progress_publish_lag_seconds",] > 0.1)
    found = samples(tracker)
    # What only the store knows is left out: no number is better than a wrong one.
    assert {name for name, *_ in found} == {
        "mod_progress_store_up",
        "mod_progress_publish_lag_seconds",
    }
    assert found["mod_progress_store_up",] == 0
    tracker.close()


def test_to_those_who_may_not_it_is_refused() -> None:
    tracker = Tracker(store=MemoryStore())
    refused = answer_metrics(Question("GET", b"", lambda name: None), tracker, permitted=False)
    assert isinstance(refused, Answer)
    assert refused.status == 403


def test_without_a_store_there_is_little_to_say() -> None:
    assert samples(Tracker()) == {
        ("mod_progress_store_up",): 0,
        ("mod_progress_publish_lag_seconds",): 0,
    }
