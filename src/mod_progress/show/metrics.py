"""The metrics, for Prometheus: what the transfers of all processes do, and came to.

They are made of the shared store at the moment that somebody asks. So any process answers for all,
and needs no directory of files. No label has an id, a path or an address.

Needs the extra ``metrics``.
"""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import Future
from math import inf
from typing import cast

from prometheus_client import CollectorRegistry, Metric
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
)
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import Collector

from mod_progress.futures import map_future
from mod_progress.show.answer import Answer, refuse
from mod_progress.show.question import Question
from mod_progress.stores.listing import Page, Query
from mod_progress.stores.totals import Totals
from mod_progress.tracker import Tracker
from mod_progress.transfer import Direction, State

__all__ = ["answer_metrics"]

_FORBIDDEN = refuse(403, "the metrics are not for you")

#: One walk over the store answers this, for all who ask within a second.
_QUERY = Query(limit=1)


def answer_metrics(
    question: Question, tracker: Tracker, permitted: bool = True
) -> Answer | Future[Answer]:
    """Answer in OpenMetrics, or in the older format of Prometheus where Accept does not name it.

    Where the store cannot be read, the answer lacks what only the store knows.
    """
    if not permitted:
        return _FORBIDDEN
    accepted = (question.field(b"accept") or b"").decode("latin-1")

    def present(page: Page | Exception) -> Answer:
        registry = CollectorRegistry(auto_describe=False)
        registry.register(_Transfers(tracker, page if isinstance(page, Page) else None))
        encode, content_type = choose_encoder(accepted)
        fields = (
            ("Content-Type", content_type),
            ("Cache-Control", "no-store"),
            ("X-Content-Type-Options", "nosniff"),
        )
        return Answer(200, fields, encode(registry))

    page = cast("Future[Page | Exception]", tracker.page(_QUERY))
    return map_future(page, present, lambda error: error)


class _Transfers(Collector):
    """The metrics of one moment; ``page`` is None where the store cannot be read."""

    def __init__(self, tracker: Tracker, page: Page | None) -> None:
        self._tracker = tracker
        self._page = page

    def describe(self) -> list[Metric]:
        """Return nothing: the metrics are made once, and nobody else makes any."""
        return []

    def collect(self) -> Iterator[Metric]:
        """Yield all metrics."""
        up = self._page is not None and not self._tracker.troubles()
        yield GaugeMetricFamily(
            "mod_progress_store_up",
            "Whether this process can read the store and write to it.",
            value=int(up),
        )
        yield GaugeMetricFamily(
            "mod_progress_publish_lag_seconds",
            "For how long transfers of this process have waited to be written to the store.",
            value=self._tracker.lag(),
        )
        if self._page is not None:
            yield from _present_page(self._page)
            if self._page.totals is not None:
                yield from _present_totals(self._page.totals)


def _present_page(page: Page) -> Iterator[Metric]:
    running = GaugeMetricFamily(
        "mod_progress_transfers_running", "Transfers that are running.", labels=["direction"]
    )
    running.add_metric([Direction.UPLOAD], page.uploads)
    running.add_metric([Direction.DOWNLOAD], page.states.get(State.RUNNING, 0) - page.uploads)
    yield running
    yield GaugeMetricFamily(
        "mod_progress_table_entries",
        "Transfers in the store: those that are running, and those whose end can be read.",
        value=page.total,
    )


def _present_totals(totals: Totals) -> Iterator[Metric]:
    transfers = CounterMetricFamily(
        "mod_progress_transfers",
        "Transfers that have ended. Those of processes that died count as errors.",
        labels=["direction", "state"],
    )
    for direction, state, number in totals.ends():
        transfers.add_metric([direction, state], number)
    yield transfers
    moved = CounterMetricFamily(
        "mod_progress_bytes",
        "Bytes of bodies, of running transfers too: received from clients, or sent to them.",
        labels=["direction"],
    )
    moved.add_metric([Direction.UPLOAD], totals.received)
    moved.add_metric([Direction.DOWNLOAD], totals.sent)
    yield moved
    yield HistogramMetricFamily(
        "mod_progress_transfer_duration_seconds",
        "How long transfers took that have ended.",
        buckets=[("+Inf" if bound == inf else str(bound), n) for bound, n in totals.buckets()],
        sum_value=totals.seconds,
    )
