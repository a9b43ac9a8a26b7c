from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mod_progress.stores.record import (
    MAX_COUNT,
    MAX_SIZE,
    MAX_STATUS,
    SIZE,
    decode,
    decode_state,
    encode,
)
from mod_progress.transfer import UNKNOWN, Snapshot, State

counters = st.integers(0, 2**64 - 1)


@given(
    st.builds(
        Snapshot,
        st.sampled_from(State),
        counters,
        counters,
        st.none() | st.integers(0, 2**63 - 1),
        counters,
        st.integers(0, 999),
        counters,
        counters,
    ),
    st.binary(max_size=9),
)
def test_every_snapshot_survives(snapshot: Snapshot, before: bytes) -> None:
    record = encode(snapshot)
    assert len(record) == SIZE
    assert decode(before + record + b"after", len(before)) == snapshot
    assert decode_state(before + record, len(before)) is snapshot.state


@given(st.sampled_from(State), st.lists(st.integers(), min_size=7, max_size=7))
def test_any_numbers_can_be_written(state: State, numbers: list[int]) -> None:
    found = decode(encode(Snapshot(state, *numbers)))
    assert found.state is state
    assert found[1] == min(max(numbers[0], 0), MAX_COUNT)
    assert found.status == min(max(numbers[4], 0), MAX_STATUS)
    assert found[6:] == tuple(min(max(number, 0), MAX_COUNT) for number in numbers[5:])


@pytest.mark.parametrize(("size", "read"), [(2**63 - 1, MAX_SIZE), (2**63, MAX_SIZE), (None, None)])
@pytest.mark.parametrize("received", [0, 2**64])
def test_a_size_beyond_all_bounds_is_the_largest(
    size: int | None, read: int | None, received: int
) -> None:
    found = decode(encode(Snapshot(State.RUNNING, received, 0, size)))
    assert found == Snapshot(State.RUNNING, min(received, MAX_COUNT), 0, read)


@given(st.binary(max_size=2 * SIZE))
def test_bytes_that_are_no_record_read_as_unknown(data: bytes) -> None:
    found = decode(data)
    if len(data) < SIZE or data[0] >= len(State):
        assert found == UNKNOWN
    else:
        assert encode(found)[:1] == data[:1]
    assert decode_state(data) in State
