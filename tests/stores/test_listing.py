"""The selection of a page, whatever the rows and whatever the question."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mod_progress.details import Details, encode
from mod_progress.stores.listing import Cursor, Entry, Page, Query, Row, Selection, Sort
from mod_progress.transfer import Snapshot, State

NOW = 1_764_093_149.0


def select(rows: list[Row], query: Query) -> Page:
    selection = Selection(query, NOW)
    for row in rows:
        selection.add([row])
    return selection.page()


def ago(seconds: float) -> int:
    return round((NOW - seconds) * 1e9)


states = st.sampled_from([State.RUNNING, State.DONE, State.ERROR])


@st.composite
def rows(draw: st.DrawFn) -> list[Row]:
    """Rows of which many start together and have moved as much."""
    made = draw(st.lists(st.tuples(states, st.integers(0, 2), st.integers(0, 2)), max_size=30))
    return [
        (
            f"id{number}",
            Snapshot(state, moved * 1000, 0, None, 0, 200, ago(age)),
            encode(Details("POST", "/"), "id"),
        )
        for number, (state, moved, age) in enumerate(made)
    ]


@given(
    rows(),
    st.sampled_from(Sort),
    st.booleans(),
    st.none() | states,
    st.integers(1, 7),
)
def test_the_pages_together_are_the_whole_in_order(
    made: list[Row],
    sort: Sort,
    reverse: bool,
    state: State | None,
    limit: int,
) -> None:
    query = Query(state, sort=sort, reverse=reverse, limit=limit)
    whole = select(made, query._replace(limit=1000))
    found: list[Entry] = []
    turned = list(made)
    while True:
        turned.reverse()  # rows come in any order
        page = select(turned, query)
        found += page.entries
        assert (page.total, page.states) == (whole.total, whole.states)
        if page.after is None:
            break
        assert len(page.entries) == limit
        query = query._replace(after=Cursor.parse(str(page.after)))
    assert tuple(found) == whole.entries
    assert len(found) == whole.total


@given(st.floats(allow_nan=False), st.floats(allow_nan=False), st.integers(0, 10_000))
def test_a_cursor_is_a_text_of_a_query(key: float, start: float, ties: int) -> None:
    cursor = Cursor(key, start, ties)
    text = str(cursor)
    assert Cursor.parse(text) == cursor
    assert text.replace("-", "a").replace("_", "a").isalnum()


@given(st.text(max_size=40))
def test_any_text_is_a_cursor_or_none(text: str) -> None:
    cursor = Cursor.parse(text)
    if cursor is not None:
        select([("a", Snapshot(State.DONE), b"")], Query(after=cursor))


@pytest.mark.parametrize(
    "cursor", [Cursor(float("nan"), 0, 0), Cursor(0, float("nan"), 0), Cursor(0, 0, 2**31)]
)
def test_a_cursor_that_no_page_has_is_none(cursor: Cursor) -> None:
    assert Cursor.parse(str(cursor)) is None


@pytest.mark.parametrize(
    ("state", "age", "rate"),
    [
        (State.RUNNING, 10, 100.0),
        (State.RUNNING, 0, 10_000.0),
        (State.RUNNING, -5, 10_000.0),
        (State.DONE, 10, None),
    ],
)
def test_a_rate_is_that_since_the_start(state: State, age: float, rate: float | None) -> None:
    row = ("a", Snapshot(state, 900, 100, started=ago(age)), b"")
    (entry,) = select([row], Query()).entries
    assert entry.rate == (None if rate is None else pytest.approx(rate))
