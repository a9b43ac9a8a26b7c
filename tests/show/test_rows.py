"""How a transfer is described in a list, and how two descriptions differ."""

from __future__ import annotations

import pytest

from mod_progress.details import Details
from mod_progress.show.rows import describe, describe_changes, describe_moment
from mod_progress.stores.listing import Entry
from mod_progress.transfer import Snapshot, State

DETAILS = Details("POST", "/upload", "192.0.2.7")


def entry(snapshot: Snapshot, rate: float | None = 3.7, details: Details = DETAILS) -> Entry:
    return Entry("0123456789abcdef", snapshot, details, rate)


BEFORE = entry(Snapshot(State.RUNNING, 5, 0, 10))


@pytest.mark.parametrize(
    ("now", "changes"),
    [
        (BEFORE, {}),
        (BEFORE._replace(rate=1.0), {}),
        (entry(Snapshot(State.RUNNING, 6, 0, 10)), {"received": 6, "rate": 4}),
        (
            entry(Snapshot(State.DONE, 10, 2, 10, 2, 200), None),
            {
                "state": "done",
                "received": 10,
                "sent": 2,
                "response_size": 2,
                "status": 200,
                "rate": None,
            },
        ),
        (entry(Snapshot(State.RUNNING, 5, 0, None)), {"request_size": None, "rate": 4}),
        (
            entry(Snapshot(State.RUNNING)),
            {"direction": "download", "received": 0, "request_size": 0, "rate": 4},
        ),
    ],
)
def test_the_changes_of_a_row(now: Entry, changes: dict[str, object]) -> None:
    assert describe_changes(now, BEFORE, whole=False) == changes
    assert {**describe(BEFORE, whole=False), **changes, "rate": 0} == {
        **describe(now, whole=False),
        "rate": 0,
    }


@pytest.mark.parametrize(
    "now",
    [
        entry(BEFORE.snapshot._replace(started=2)),
        entry(BEFORE.snapshot, details=DETAILS._replace(path="/other")),
    ],
)
def test_another_transfer_is_described_as_a_whole(now: Entry) -> None:
    assert describe_changes(now, BEFORE, whole=True) == describe(now, whole=True)


@pytest.mark.parametrize(
    ("seconds", "moment"),
    [
        (0.0, "1970-01-01T00:00:00.000Z"),
        (1_700_000_000.1239, "2023-11-14T22:13:20.123Z"),
        (1e20, None),
        (float("nan"), None),
    ],
)
def test_a_moment(seconds: float, moment: str | None) -> None:
    assert describe_moment(seconds) == moment
