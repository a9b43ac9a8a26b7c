from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from mod_progress.stores.record import SIZE, decode, decode_state, encode
from mod_progress.transfer import Snapshot, State

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
    ),
    st.binary(max_size=9),
)
def test_every_snapshot_survives(snapshot: Snapshot, before: bytes) -> None:
    record = encode(snapshot)
    assert len(record) == SIZE
    assert decode(before + record + b"after", len(before)) == snapshot
    assert decode_state(before + record, len(before)) is snapshot.state
