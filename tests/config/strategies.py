"""What hypothesis makes configurations of."""

from hypothesis import strategies as st

from mod_progress.config.values import LARGEST, SMALLEST

SCALARS = st.none() | st.booleans() | st.integers(SMALLEST + 1, LARGEST) | st.binary()
VALUES = st.recursive(SCALARS, lambda values: st.lists(values).map(tuple), max_leaves=10)
