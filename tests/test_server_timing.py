import pytest

from mod_progress.server_timing import ServerTiming


@pytest.mark.parametrize(
    ("request_size", "body_ends", "value"),
    [
        (10, [1.5], "body;dur=1500.0, app;dur=1000.0"),
        (None, [0.0006], "body;dur=0.6, app;dur=2499.4"),
        # The first end counts.
        (10, [1.0, 2.0], "body;dur=1000.0, app;dur=1500.0"),
        # There is no body: it is here with the head.
        (0, [], "body;dur=0.0, app;dur=2500.0"),
        (0, [1.0], "body;dur=0.0, app;dur=2500.0"),
        # The response begins before the end of the body.
        (10, [], "app;dur=2500.0"),
        (None, [], "app;dur=2500.0"),
    ],
)
def test_the_durations_in_milliseconds(
    request_size: int | None, body_ends: list[float], value: str
) -> None:
    now = 100.0
    timing = ServerTiming(request_size, lambda: now)
    for seconds in body_ends:
        now = 100 + seconds
        timing.body_ended()
    now = 102.5
    assert timing.value() == value
