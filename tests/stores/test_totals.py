"""The numbers that only grow: by themselves, and over each store."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mod_progress.stores.contract import Store
from mod_progress.stores.listing import Query
from mod_progress.stores.totals import BOUNDS, FIELDS, Counting, Totals
from mod_progress.transfer import Direction, Snapshot, State
from tests.stores.conftest import Open
from tests.stores.store_servers import page

UPLOAD = Snapshot(State.DONE, 100, 20, 100, 20, 200)
DOWNLOAD = Snapshot(State.ERROR, 0, 20, 0, 50, 500)


def ends(totals: Totals) -> dict[str, int]:
    return {f"{direction} {state}": number for direction, state, number in totals.ends() if number}


def test_ends_count_by_direction_and_state() -> None:
    totals = Totals()
    assert not totals
    for snapshot in UPLOAD, UPLOAD, DOWNLOAD:
        totals.count_end(snapshot, 0.25)
    assert totals
    assert ends(totals) == {"upload done": 2, "download error": 1}
    assert (totals.seconds, totals.received, totals.sent) == (0.75, 0, 0)


def test_bytes_count_once() -> None:
    totals = Totals()
    begun = UPLOAD._replace(state=State.RUNNING, received=40, sent=5)
    totals.count_bytes(None, begun)
    assert (totals.received, totals.sent) == (40, 5)
    totals.count_bytes(begun, UPLOAD)
    totals.count_bytes(UPLOAD, UPLOAD)
    assert (totals.received, totals.sent) == (100, 20)


@pytest.mark.parametrize(
    ("seconds", "bound"),
    [(-1.0, 0.1), (0.0, 0.1), (0.1, 0.1), (0.11, 0.5), (3600.0, 3600.0), (1e9, math.inf)],
)
def test_the_buckets_hold_what_took_so_long_at_most(seconds: float, bound: float) -> None:
    totals = Totals()
    totals.count_end(UPLOAD, seconds)
    assert dict(totals.buckets()) == {each: int(each >= bound) for each in BOUNDS}
    assert totals.seconds == max(0.0, seconds)


numbers = st.lists(st.integers(0, 2**70), min_size=len(FIELDS), max_size=len(FIELDS))


@given(numbers, numbers)
def test_records_keep_the_numbers_and_sums_grow(one: list[int], other: list[int]) -> None:
    totals = Totals(one)
    assert Totals.decode(totals.encode()).numbers == [min(each, 2**64 - 1) for each in one]
    assert Totals.named(dict(zip(FIELDS, one, strict=True))).numbers == one
    totals.add(Totals(other))
    assert totals.numbers == [sum(pair) for pair in zip(one, other, strict=True)]


def test_nothing_steps_back() -> None:
    totals = Totals()
    totals.count_bytes(None, UPLOAD)
    wrong = Totals()
    wrong.count_bytes(UPLOAD, DOWNLOAD)
    totals.add(wrong)
    assert (totals.received, totals.sent) == (100, 20)


@pytest.mark.parametrize("record", [None, b"", b"short", bytes(1000)])
def test_what_is_no_record_is_nothing(record: bytes | None) -> None:
    assert not Totals.decode(record)


def stored(store: Store) -> Totals:
    found = page(store, Query(limit=1)).totals
    assert found is not None
    return found


def test_the_totals_of_a_store_are_those_of_all_who_add(
    open_store: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mod_progress.stores.walks.KEEP", 0.0)
    one, other = open_store(), open_store()
    assert isinstance(one, Counting)
    assert isinstance(other, Counting)
    assert not stored(one)
    for store, snapshot in ((one, UPLOAD), (other, DOWNLOAD), (one, DOWNLOAD)):
        totals = Totals()
        totals.count_end(snapshot, 2.0)
        totals.count_bytes(None, snapshot)
        store.add_totals(totals)
    found = stored(open_store())
    assert ends(found) == {"upload done": 1, "download error": 2}
    assert (found.received, found.sent, found.seconds) == (100, 60, 6.0)
    assert dict(found.buckets())[5.0] == 3


def test_the_direction_is_that_of_the_body() -> None:
    running = Snapshot(State.RUNNING, 0, 0, 0)
    assert running.direction is Direction.DOWNLOAD
    assert running._replace(request_size=None).direction is Direction.UPLOAD
    assert running._replace(request_size=5).direction is Direction.UPLOAD
    assert running._replace(received=5).direction is Direction.UPLOAD
