"""What `progress.js` computes: ids, words, rates, and what people see of a transfer."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest
from playwright.sync_api import JSHandle, Page


@pytest.fixture(scope="module")
def module(lasting_page: Page) -> JSHandle:
    return lasting_page.evaluate_handle("import('/progress.js')")


WORDS = {
    "size(0)": "0 bytes",
    "size(1)": "1 byte",
    "size(999)": "999 bytes",
    "size(1000)": "1 kB",
    "size(999_600)": "1.0 MB",
    "size(50_000_000)": "50.0 MB",
    "size(2_500_000_000, 'en', 'second')": "2.5 GB/s",
    "size(5e15)": "5,000.0 TB",
    "size(1_500_000, 'de')": "1,5 MB",
    "size(1_500_000, 'fr')": "1,5\N{NARROW NO-BREAK SPACE}Mo",
    "duration(0)": "1 sec",
    "duration(0.2)": "1 sec",
    "duration(59.4)": "59 sec",
    "duration(60)": "1 min",
    "duration(61)": "1 min 1 sec",
    "duration(599)": "9 min 59 sec",
    "duration(661)": "11 min",
    "duration(3600)": "1 hr",
    "duration(7260)": "2 hr 1 min",
    "duration(61, 'de')": "1 Min., 1 Sek.",
}


def test_sizes_and_durations(module: JSHandle) -> None:
    said = {
        expression: module.evaluate(f"({{ size, duration }}) => {expression}")
        for expression in WORDS
    }
    assert said == WORDS


def test_an_identifier_is_its_owners_and_new_each_time(module: JSHandle) -> None:
    first, second = module.evaluate("module => [1, 2].map(module.freshIdentifier)")
    assert first != second
    assert first.startswith("own~")
    assert len(first) == 36


#: What becomes of a URL when it gets the id "one".
URLS = {
    "/a": "/a?X-Progress-ID=one",
    "/a?": "/a?X-Progress-ID=one",
    "/a?b": "/a?b&X-Progress-ID=one",
    "/a?b=c%20d&e=f+g": "/a?b=c%20d&e=f+g&X-Progress-ID=one",
    "/a?x-progress-id=two&b=c": "/a?b=c&X-Progress-ID=one",
    "/a?sig=a%2Fb~%7E": "/a?sig=a%2Fb~%7E&X-Progress-ID=one",
}


def test_an_id_comes_into_a_url_and_nothing_else_changes(module: JSHandle) -> None:
    made = module.evaluate(
        "(module, urls) => urls.map((url) => module.withIdentifier(url, 'one'))", list(URLS)
    )
    assert ["/" + address.split("/", 3)[3] for address in made] == list(URLS.values())


def test_special_characters_of_an_id_are_encoded(module: JSHandle) -> None:
    address = module.evaluate("module => module.withIdentifier('/a', 'a&b', 'c~+')")
    assert address.endswith("?X-Progress-ID=a%26b&X-Progress-ID=c~%2B")


def rates(module: JSHandle, amounts: list[tuple[float, float]]) -> Any:
    """Return the rate and the seconds to 3,000 bytes after each of (seconds, bytes)."""
    return module.evaluate(
        """({ Estimate }, amounts) => {
            const estimate = new Estimate();
            return amounts.map(([seconds, bytes]) => {
                estimate.note(bytes, 1000 * seconds);
                return [estimate.rate, estimate.secondsTo(3000, 1000 * seconds)];
            });
        }""",
        amounts,
    )


def test_a_steady_rate_is_right_from_the_second_sample_on(module: JSHandle) -> None:
    told = rates(module, [(0, 0), (0.2, 20), (1, 100), (4, 400), (20, 2000)])
    assert told[0] == [None, None]
    for [rate, left], seconds in zip(told[1:], (0.2, 1, 4, 20), strict=True):
        assert rate == pytest.approx(100)
        assert left == pytest.approx(30 - seconds)


def test_a_rate_that_changes_is_followed_without_a_jump(module: JSHandle) -> None:
    slow = [(step / 4, 25.0 * step) for step in range(80)]
    fast = [(20 + step / 4, 2000 + 100.0 * step) for step in range(80)]
    told = [rate for rate, _ in rates(module, slow + fast)[1:]]
    steps = [after - before for before, after in pairwise(told)]
    assert min(steps) > -0.001
    # The raw rate jumps by 300.
    assert max(steps) < 30
    assert told[-1] == pytest.approx(400, rel=0.02)


def test_samples_that_come_in_lumps_are_evened_out(module: JSHandle) -> None:
    lumps = [(step / 10, 500.0 * (step // 5)) for step in range(300)]
    told = [rate for rate, _ in rates(module, lumps)[100:]]
    assert all(800 < rate < 1250 for rate in told)


def test_the_time_left_counts_down_between_samples(module: JSHandle) -> None:
    left = module.evaluate(
        """({ Estimate }) => {
            const estimate = new Estimate();
            estimate.note(0, 0);
            estimate.note(100, 1000);
            return [1000, 2000, 2500, 60_000].map((now) => estimate.secondsTo(600, now));
        }"""
    )
    assert left == pytest.approx([5, 4, 3.5, 0])


def run(received: int, size: int | None = 100, sent: int = 0, response: int = 0) -> dict[str, Any]:
    return {
        "state": "running",
        "received": received,
        "request_size": size,
        "sent": sent,
        "response_size": response,
    }


UNKNOWN = {"state": "unknown"}
LOST = {"state": "unreachable"}
DONE = {**run(100), "state": "done"}

Told = list[tuple[float, dict[str, Any] | None]]

#: What a meter shows (state and value) after it was told these snapshots at these seconds.
METERS: dict[str, tuple[Told, tuple[str, float | None]]] = {
    "nothing yet": ([(0, UNKNOWN)], ("waiting", 0)),
    "no answer yet": ([(0, LOST), (9, LOST)], ("waiting", 0)),
    "some of it": ([(0, run(25))], ("uploading", 0.25)),
    "size not known": ([(0, run(25, None))], ("uploading", None)),
    "all of it": ([(0, run(25)), (1, run(100))], ("processing", 1)),
    "chunked to its end": ([(0, run(25, None)), (1, run(30, 30))], ("processing", 1)),
    "response on its way": ([(0, run(100, 100, 10, 50))], ("processing", 1)),
    "done": ([(0, run(25)), (1, DONE)], ("done", 1)),
    "done at once": ([(0, DONE)], ("done", 1)),
    "an empty upload": ([(0, {**run(0, 0), "state": "done"})], ("done", 1)),
    "refused": ([(0, run(25)), (1, {"state": "error", "status": 507})], ("failed", 0.25)),
    "cut": ([(0, {"state": "error", "status": 0})], ("failed", 0)),
    "forgotten": ([(0, run(25)), (1, UNKNOWN)], ("failed", 0.25)),
    "nothing new": ([(0, run(25)), (4.9, run(25))], ("uploading", 0.25)),
    "nothing new for long": ([(0, run(25)), (5, run(25))], ("stalled", 0.25)),
    "no news for long": ([(0, run(25)), (5, None)], ("stalled", 0.25)),
    "no answer for long": ([(0, run(25)), (1, LOST), (6, LOST)], ("stalled", 0.25)),
    "it goes on": ([(0, run(25)), (6, run(25)), (7, run(26))], ("uploading", 0.26)),
    "long at work": ([(0, run(100)), (60, None)], ("processing", 1)),
    "at work, no answer": ([(0, run(100)), (1, LOST), (6, LOST)], ("stalled", 1)),
    "a download to come": ([(0, run(0, 0))], ("processing", None)),
    "a download": ([(0, run(0, 0, 20, 80))], ("downloading", 0.25)),
    "a download of unknown size": (
        [(0, run(0, 0, 20, 30)), (1, run(0, 0, 30, 45))],
        ("downloading", None),
    ),
}


def test_a_meter_shows_what_it_was_told(module: JSHandle) -> None:
    shown = module.evaluate(
        """({ Meter }, cases) => cases.map((told) => {
            const meter = new Meter();
            for (const [seconds, snapshot] of told) {
                if (snapshot) meter.update(snapshot, 1000 * seconds);
                else meter.tick(1000 * seconds);
            }
            return [meter.state, meter.value];
        })""",
        [told for told, _ in METERS.values()],
    )
    assert {name: tuple(each) for name, each in zip(METERS, shown, strict=True)} == {
        name: expected for name, (_, expected) in METERS.items()
    }


METER_RATES = """({ Meter }, told) => {
    const meter = new Meter();
    return told.map(([seconds, snapshot]) => {
        if (snapshot) meter.update(snapshot, 1000 * seconds);
        else meter.tick(1000 * seconds);
        return [meter.rate, meter.secondsLeft];
    });
}"""


def test_a_rate_is_shown_after_a_second_and_not_while_nothing_comes(module: JSHandle) -> None:
    shown = module.evaluate(
        METER_RATES,
        [(0, run(0)), (0.5, run(5)), (1, run(10)), (2, None), (7, None), (8, run(12))],
    )
    assert shown[0] == shown[1] == [None, None]
    assert shown[2] == pytest.approx([10, 9])
    assert shown[3] == pytest.approx([10, 8])
    assert shown[4] == [None, None]
    assert shown[5][0] < 10


def test_a_rate_of_nothing_is_none(module: JSHandle) -> None:
    shown = module.evaluate(METER_RATES, [(0, run(50)), (1, run(50)), (2, run(50)), (3, run(40))])
    assert shown == [[None, None]] * 4
