"""What a meter shows, step by step."""

from __future__ import annotations

import pytest

from mod_progress.terminal import words
from mod_progress.terminal.meter import STALLED, Meter, Phase
from mod_progress.transfer import UNKNOWN, Snapshot, State


def running(received: int, size: int | None, sent: int = 0, response: int = 0) -> Snapshot:
    return Snapshot(State.RUNNING, received, sent, size, response)


def done(received: int, sent: int = 0) -> Snapshot:
    return Snapshot(State.DONE, received, sent, received, sent)


def error(status: int) -> Snapshot:
    return Snapshot(State.ERROR, status=status)


def word(meter: Meter) -> str:
    return meter.phase.value


@pytest.mark.parametrize(
    ("snapshots", "headline"),
    [
        ([], "waiting"),
        ([UNKNOWN], "waiting"),
        ([UNKNOWN, UNKNOWN], "waiting"),
        ([running(0, 1000)], "0%"),
        ([running(999, 1000)], "99%"),
        ([running(1000, 1000)], "processing"),
        ([running(500, None)], "uploading"),
        ([running(500, None), running(500, 500)], "processing"),
        ([running(1000, 1000, 5, 10)], "processing"),
        ([running(0, 0)], "processing"),
        ([running(0, 0, 0, 1000)], "processing"),
        ([running(0, 0, 500, 1000)], "50%"),
        # The size of the response is what was produced so far, as it grows.
        ([running(0, 0, 500, 1000), running(0, 0, 500, 2000)], "downloading"),
        ([running(500, 1000), done(1000)], "done"),
        ([done(0)], "done"),
        ([running(500, 1000), error(413)], "failed"),
        ([error(0)], "failed"),
        ([running(500, 1000), UNKNOWN], "failed"),
        # What comes after the end changes nothing.
        ([error(413), running(500, 1000)], "failed"),
        ([done(5), UNKNOWN], "done"),
    ],
)
def test_the_headline(snapshots: list[Snapshot], headline: str) -> None:
    meter = Meter()
    for second, snapshot in enumerate(snapshots):
        meter.update(snapshot, float(second))
    assert words.headline(meter) == headline


@pytest.mark.parametrize(
    ("snapshots", "reason", "known"),
    [
        ([error(413)], "status 413", True),
        ([running(5, 10), error(0)], "cut off", True),
        ([running(5, 10), UNKNOWN], "no longer known", True),
        ([running(5, 10)], "no longer known", True),
        ([UNKNOWN], "unknown id", False),
        ([], "unknown id", False),
    ],
)
def test_why_it_failed(snapshots: list[Snapshot], reason: str, known: bool) -> None:
    meter = Meter()
    for snapshot in snapshots:
        meter.update(snapshot, 0.0)
    meter.give_up(1.0)
    assert meter.over
    assert meter.phase is Phase.FAILED
    assert meter.seen == known
    assert words.reason(meter) == reason


def test_a_transfer_stalls_without_a_new_byte_and_goes_on_with_one() -> None:
    meter = Meter()
    meter.update(running(0, 1000), 0.0)
    meter.update(running(100, 1000), 1.0)
    assert (word(meter), meter.rate, meter.seconds_left) == ("uploading", 100.0, 9.0)
    meter.update(running(100, 1000), 1.0 + STALLED)
    assert (word(meter), meter.rate, meter.seconds_left) == ("stalled", None, None)
    meter.update(running(200, 1000), 2.0 + STALLED)
    assert word(meter) == "uploading"
    assert meter.rate is not None


def test_the_time_alone_stalls_it() -> None:
    meter = Meter()
    meter.update(running(100, 1000), 0.0)
    meter.tick(STALLED - 0.1)
    assert word(meter) == "uploading"
    meter.tick(STALLED)
    assert word(meter) == "stalled"


def test_an_app_at_work_is_stalled_only_when_its_server_does_not_answer() -> None:
    meter = Meter()
    meter.update(running(1000, 1000), 0.0)
    meter.tick(10 * STALLED)
    assert word(meter) == "processing"
    meter.lose(10 * STALLED)
    meter.lose(11 * STALLED - 0.1)
    meter.tick(11 * STALLED)
    assert word(meter) == "stalled"
    meter.update(running(1000, 1000), 12 * STALLED)
    assert word(meter) == "processing"


def test_a_lost_server_says_nothing_of_what_is_waited_for() -> None:
    meter = Meter()
    meter.lose(0.0)
    meter.tick(10 * STALLED)
    assert word(meter) == "waiting"


def test_there_is_no_rate_in_the_first_second() -> None:
    meter = Meter()
    meter.update(running(0, 1000), 0.0)
    meter.update(running(500, 1000), 0.9)
    assert meter.rate is None
    meter.tick(1.0)
    assert meter.rate is not None


def test_a_rate_of_nothing_is_none() -> None:
    meter = Meter()
    for second, amount in enumerate((500, 500, 500, 400)):
        meter.update(running(amount, 1000), float(second))
        assert (meter.rate, meter.seconds_left) == (None, None)


@pytest.mark.parametrize(
    ("steps", "elapsed"),
    [
        ([(0.0, running(0, 10)), (3.0, done(10))], 3.0),
        ([(0.0, UNKNOWN), (2.0, running(5, 10)), (5.0, done(10))], 3.0),
        # Somebody began to watch in the middle.
        ([(0.0, running(5, 10)), (3.0, done(10))], None),
        ([(0.0, done(10))], None),
        ([(0.0, running(0, 10)), (0.9, done(10))], None),
        ([(0.0, running(0, 10))], None),
    ],
)
def test_how_long_it_took(steps: list[tuple[float, Snapshot]], elapsed: float | None) -> None:
    meter = Meter()
    for now, snapshot in steps:
        meter.update(snapshot, now)
    assert meter.elapsed == elapsed
