"""The arithmetic of rates: known answers, and what must hold of any."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mod_progress.terminal.estimate import HALF_LIFE, Estimate


def noting(*notes: tuple[float, int]) -> Estimate:
    """Return an estimate that has noted these amounts at these times."""
    estimate = Estimate()
    for now, amount in notes:
        estimate.note(amount, now)
    return estimate


@pytest.mark.parametrize(
    ("notes", "rate"),
    [
        ([], None),
        ([(0.0, 0)], None),
        ([(5.0, 1000)], None),
        ([(0.0, 0), (0.0, 1000)], None),
        ([(0.0, 0), (1.0, 1000)], 1000.0),
        ([(0.0, 500), (0.5, 1000)], 1000.0),
        ([(0.0, 0), (1.0, 1000), (2.0, 2000), (4.0, 4000)], 1000.0),
        ([(0.0, 0), (1.0, 0)], 0.0),
        # A half-life of 1000 bytes a second, then one of nothing: the single average is
        # (1000 * 1/4 + 0 * 1/2) / (3/4), which is 1000/3. The average of the averages 1000 and
        # 1000/3, with the same weights, is (1000/4 + 1000/6) / (3/4), which is 5000/9.
        ([(0.0, 0), (HALF_LIFE, 2000), (2 * HALF_LIFE, 2000)], 5000 / 9),
        # The clock stood still: the amount counts from there on.
        ([(0.0, 0), (1.0, 1000), (1.0, 5000), (2.0, 6000)], 1000.0),
    ],
)
def test_the_rate(notes: list[tuple[float, int]], rate: float | None) -> None:
    assert noting(*notes).rate == (None if rate is None else pytest.approx(rate))


@pytest.mark.parametrize(
    ("notes", "size", "now", "seconds"),
    [
        ([], 1000, 0.0, None),
        ([(0.0, 0)], 1000, 0.0, None),
        ([(0.0, 0), (1.0, 0)], 1000, 1.0, None),
        ([(0.0, 0), (1.0, 100)], None, 1.0, None),
        ([(0.0, 0), (1.0, 100)], 1000, 1.0, 9.0),
        # It counts down between two notes, and no further than to 0.
        ([(0.0, 0), (1.0, 100)], 1000, 3.5, 6.5),
        ([(0.0, 0), (1.0, 100)], 1000, 60.0, 0.0),
        ([(0.0, 100), (1.0, 0)], 1000, 1.0, None),
    ],
)
def test_the_time_left(
    notes: list[tuple[float, int]], size: int | None, now: float, seconds: float | None
) -> None:
    left = noting(*notes).seconds_to(size, now)
    assert left == (None if seconds is None else pytest.approx(seconds))


STEPS = st.lists(st.tuples(st.floats(0.01, 10), st.integers(0, 10**12)), min_size=1)


@settings(deadline=None)
@given(STEPS)
def test_a_rate_is_between_the_slowest_and_the_fastest(steps: list[tuple[float, int]]) -> None:
    estimate = noting((0.0, 0))
    now, amount, speeds = 0.0, 0, []
    for seconds, more in steps:
        speeds.append(more / seconds)
        now += seconds
        amount += more
        estimate.note(amount, now)
        assert estimate.rate is not None
        assert min(speeds) * 0.999 <= estimate.rate <= max(speeds) * 1.001


@settings(deadline=None)
@given(st.floats(0.05, 1.0), st.integers(1, 10**9))
def test_a_rate_does_not_jump(seconds: float, speed: int) -> None:
    estimate = Estimate()
    for step in range(200):
        estimate.note(int(step * seconds * speed), step * seconds)
    steady = estimate.rate
    assert steady is not None
    # One sample brings ten times as much.
    estimate.note(int((199 + 10) * seconds * speed), 200 * seconds)
    assert estimate.rate is not None
    assert estimate.rate <= 1.9 * steady
