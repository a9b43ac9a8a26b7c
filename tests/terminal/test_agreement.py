"""A page and a terminal show the same numbers: the script's meter runs beside this one."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from importlib.resources import files
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from playwright.sync_api import Route, sync_playwright

from mod_progress.terminal import words
from mod_progress.terminal.meter import Meter, Phase
from mod_progress.terminal.report import render_report
from mod_progress.transfer import UNKNOWN, Snapshot, State

#: One step: seconds that pass, and what the server says then; None where it does not answer.
Step = tuple[float, Snapshot | None]

MEASURE = """async (steps) => {
    const { Meter } = await import("/progress.js");
    const meter = new Meter();
    return steps.map(([now, snapshot]) => {
        if (!meter.over) meter.update(snapshot, now);
        const { state, amount, total, value, rate, secondsLeft } = meter;
        return { state, amount, total, value, rate, secondsLeft };
    });
}"""

SIZE = """async (bytes) => {
    const { size } = await import("/progress.js");
    return [size(bytes), size(bytes, "en", "second")];
}"""

DURATION = """async (seconds) => {
    const { duration } = await import("/progress.js");
    return duration(seconds);
}"""


@pytest.fixture(scope="module")
def script() -> Iterator[Callable[[str, Any], Any]]:
    """Run a function in a browser that has the script."""

    def answer(route: Route) -> None:
        if route.request.url.endswith(".js"):
            path = files("mod_progress") / "web" / route.request.url.rpartition("/")[2]
            route.fulfill(body=path.read_text(), content_type="text/javascript")
        else:
            route.fulfill(body="<!doctype html><html lang=en>", content_type="text/html")

    with (
        sync_playwright() as playwright,
        playwright.chromium.launch(
            executable_path="/usr/bin/chromium", args=["--no-sandbox"]
        ) as browser,
        browser.new_page() as page,
    ):
        page.route("**/*", answer)
        page.goto("http://localhost/")
        yield page.evaluate


SIZES = st.integers(0, 10**6)
SNAPSHOTS = st.one_of(
    st.just(UNKNOWN),
    st.just(Snapshot(State.ERROR, status=500)),
    st.builds(
        Snapshot,
        st.sampled_from([State.RUNNING] * 9 + [State.DONE]),
        SIZES,
        SIZES,
        st.sampled_from([None, 0, 10**6]),
        st.sampled_from([0, 500_000, 10**6]),
        st.just(0),
    ),
)


def uploads() -> st.SearchStrategy[list[Step]]:
    """Return steps of an upload that moves on, with pauses."""
    steps = st.tuples(st.floats(0.05, 6), st.integers(0, 200_000))

    def walk(moves: list[tuple[float, int]]) -> list[Step]:
        amount = 0
        taken: list[Step] = []
        for seconds, more in moves:
            amount = min(10**6, amount + more)
            taken.append((seconds, Snapshot(State.RUNNING, amount, 0, 10**6)))
        return taken

    return st.lists(steps, max_size=20).map(walk)


ANY = st.lists(st.tuples(st.floats(0, 8), st.none() | SNAPSHOTS), max_size=12)


def ask_here(steps: list[tuple[float, Snapshot | None]]) -> list[dict[str, Any]]:
    meter, shown = Meter(), []
    for now, snapshot in steps:
        if snapshot is not None:
            meter.update(snapshot, now)
        elif not meter.over:
            meter.lose(now)
            meter.tick(now)
        shown.append(
            {
                "state": meter.phase.value,
                "amount": meter.amount,
                "total": meter.total,
                "value": meter.share,
                "rate": meter.rate,
                "secondsLeft": meter.seconds_left,
            }
        )
    return shown


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(steps=st.one_of(uploads(), ANY))
def test_the_meters_agree(script: Callable[[str, Any], Any], steps: list[Step]) -> None:
    now, timed = 0.0, []
    for seconds, snapshot in steps:
        now += round(seconds, 3)
        timed.append((now, snapshot))
    there = script(
        MEASURE,
        [
            [1000 * at, {"state": "unreachable"} if each is None else to_script(each)]
            for at, each in timed
        ],
    )
    for ours, theirs in zip(ask_here(timed), there, strict=True):
        assert ours["state"] == theirs["state"]
        assert ours["amount"] == theirs["amount"]
        assert ours["rate"] == near(theirs["rate"])
        if ours["state"] not in (Phase.WAITING, Phase.FAILED):
            assert ours["total"] == theirs["total"]
            assert ours["value"] == near(theirs["value"])
        assert ours["secondsLeft"] == near(theirs["secondsLeft"])


def near(value: float | None) -> Any:
    return None if value is None else pytest.approx(value, rel=1e-6, abs=1e-6)


def to_script(snapshot: Snapshot) -> Any:
    return json.loads(render_report("a", snapshot))


@pytest.mark.parametrize("number", [0, 1, 999, 1000, 31_234_567, 999_499_999, 10**12])
def test_sizes_agree(script: Callable[[str, Any], Any], number: int) -> None:
    size, rate = script(SIZE, number)
    assert words.size(number) == size
    # A terminal has less room.
    assert words.rate(number) == rate.replace(" per second", "/s")


@pytest.mark.parametrize("seconds", [0, 1, 61, 260, 599, 600, 3600, 3860, 90_000])
def test_durations_agree(script: Callable[[str, Any], Any], seconds: int) -> None:
    assert words.duration(seconds) == script(DURATION, seconds)
