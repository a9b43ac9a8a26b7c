from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mod_progress.gateway.http.ranges import MOST_RANGES, parse_ranges

SIZE = 1000


@pytest.mark.parametrize(
    ("field", "ranges"),
    [
        (b"bytes=0-0", [(0, 1)]),
        (b"bytes=0-499", [(0, 500)]),
        (b"BYTES=500-", [(500, 500)]),
        (b"bytes=-1", [(999, 1)]),
        (b"bytes=-5000", [(0, 1000)]),
        (b"bytes=990-5000", [(990, 10)]),
        (b"bytes=0-18446744073709551615", [(0, 1000)]),
        (b"bytes= 0-0 ,\t-1", [(0, 1), (999, 1)]),
        (b"bytes=,0-0,,", [(0, 1)]),
        (b"bytes=5-9,1000-,-0", [(5, 5)]),
        (b"bytes=1000-", []),
        (b"bytes=-0", []),
        (b"bytes=5000-6000,7000-", []),
    ],
)
def test_a_range_is_cut_to_the_file(field: bytes, ranges: list[tuple[int, int]]) -> None:
    assert parse_ranges(field, SIZE) == ranges


@pytest.mark.parametrize(
    "field",
    [
        b"",
        b"bytes",
        b"bytes=",
        b"bytes=,",
        b"bytes=-",
        b"bytes=--1",
        b"bytes=1",
        b"bytes=5-4",
        b"bytes=0-0,5-4",
        b"bytes=a-b",
        b"bytes=0x0-1",
        b"bytes=+0-1",
        b"bytes=1_0-20",
        b"bytes=0 - 1",
        b"bytes=0-" + b"9" * 5000,
        b"lines=0-1",
        b"bytes=0-599,400-",
        b"bytes=" + b"0-0," * (MOST_RANGES + 1),
    ],
)
def test_what_is_no_sensible_set_of_ranges_is_ignored(field: bytes) -> None:
    assert parse_ranges(field, SIZE) is None


def test_an_empty_file_has_no_ranges() -> None:
    assert parse_ranges(b"bytes=0-", 0) is None


@given(st.binary(max_size=40), st.integers(0, 10**12))
def test_any_bytes_are_ignored_or_give_ranges_of_the_file(text: bytes, size: int) -> None:
    for start, length in parse_ranges(b"bytes=" + text, size) or []:
        assert 0 <= start < start + length <= size


numbers = st.integers(0, 2000).map(lambda number: b"%d" % number)


@given(st.lists(st.tuples(st.just(b"") | numbers, st.just(b"") | numbers), max_size=40))
def test_ranges_never_hold_more_than_the_file(specs: list[tuple[bytes, bytes]]) -> None:
    field = b"bytes=" + b",".join(b"%b-%b" % spec for spec in specs)
    ranges = parse_ranges(field, SIZE)
    assert sum(each.length for each in ranges or []) <= SIZE
    assert len(ranges or []) <= MOST_RANGES
