from __future__ import annotations

from datetime import datetime

import pytest

from mod_progress.terminal import words

NOW = datetime(2026, 11, 25, 14, 3, 5)


@pytest.mark.parametrize(
    ("amount", "text"),
    [
        (0, "0 bytes"),
        (1, "1 byte"),
        (999, "999 bytes"),
        (999.4, "999 bytes"),
        (999.5, "1 kB"),
        (73_400, "73 kB"),
        (999_499, "999 kB"),
        (999_500, "1.0 MB"),
        (73_400_320, "73.4 MB"),
        (16 * 10**9, "16.0 GB"),
        (10**18, "1.0 EB"),
        (9 * 10**21, "9000.0 EB"),
    ],
)
def test_sizes_and_rates(amount: float, text: str) -> None:
    assert words.size(amount) == text
    assert words.rate(amount) == f"{text}/s"


@pytest.mark.parametrize(
    ("amount", "total", "text"),
    [
        (31_200_000, 73_400_000, "31.2 of 73.4 MB"),
        (0, 73_400_000, "0 bytes of 73.4 MB"),
        (512, 700, "512 of 700 bytes"),
        (73_400_000, 73_400_000, "73.4 MB"),
        (73_400_000, None, "73.4 MB"),
        (0, 0, "0 bytes"),
    ],
)
def test_amounts(amount: int, total: int | None, text: str) -> None:
    assert words.size_of(amount, total) == text


@pytest.mark.parametrize(
    ("seconds", "text", "short"),
    [
        (0, "1 sec", "0:01"),
        (0.4, "1 sec", "0:01"),
        (1.5, "2 sec", "0:02"),
        (2.5, "3 sec", "0:03"),
        (59.6, "1 min", "1:00"),
        (260, "4 min 20 sec", "4:20"),
        (599.4, "9 min 59 sec", "9:59"),
        (610, "10 min", "10:10"),
        (3600, "1 hr", "1:00:00"),
        (3860, "1 hr 4 min", "1:04:20"),
        (4_000_000, "1,111 hr 6 min", "1111:06:40"),
    ],
)
def test_durations(seconds: float, text: str, short: str) -> None:
    assert words.duration(seconds) == text
    assert words.stopwatch(seconds) == short


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "14:03:06"),
        (55, "14:04:00"),
        (9 * 3600, "23:03:05"),
        (10 * 3600, "Thu 00:03"),
        (5 * 24 * 3600, "Mon 14:03"),
        (20 * 24 * 3600, "15 Dec"),
        (1e9, ""),
        (1e300, ""),
    ],
)
def test_the_time_of_the_end(seconds: float, text: str) -> None:
    assert words.clock(seconds, NOW) == text
