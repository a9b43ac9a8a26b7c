import pytest

from mod_progress.pacing import rest_after_poll


@pytest.mark.parametrize(
    ("spent", "polled", "waiting", "rest"),
    [
        (0.0, 0, 0, 0.5),
        (1.0, 0, 0, 0.5),
        (1.0, 4, 0, 0.5),
        (1.0, 4, 4, 20.0),
        (1.0, 4, 1, 5.0),
        (0.01, 4, 4, 0.5),
    ],
)
def test_the_rest_follows_the_time_that_was_spent_in_vain(
    spent: float, polled: int, waiting: int, rest: float
) -> None:
    assert rest_after_poll(0.5, spent, polled, waiting) == rest
