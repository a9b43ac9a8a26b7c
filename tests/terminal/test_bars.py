from __future__ import annotations

import io
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.console import Console

from mod_progress.terminal.bars import Bars, draw
from mod_progress.terminal.display import Row
from mod_progress.transfer import UNKNOWN, Snapshot, State

MEGABYTE = 10**6


def row(label: str, *steps: tuple[float, Snapshot], part: str = "") -> Row:
    """Return a row that got snapshots at these times."""
    made = Row(label, part=part)
    for now, snapshot in steps:
        made.meter.update(snapshot, now)
    return made


def running(received: int, size: int | None = 100 * MEGABYTE) -> Snapshot:
    return Snapshot(State.RUNNING, received, 0, size, 0)


UPLOAD = (0.0, running(0)), (2.0, running(20 * MEGABYTE))
DONE = (0.0, running(0)), (4.0, Snapshot(State.DONE, 100 * MEGABYTE, 5, 100 * MEGABYTE, 5))
FAILED = ((0.0, Snapshot(State.ERROR, status=413)),)


def picture(rows: list[Row], width: int) -> list[str]:
    """Return the lines that a terminal shows, each as long as it is wide."""
    console = Console(file=io.StringIO(), width=width, force_terminal=True, color_system="256")
    with console.capture() as capture:
        console.print(draw(rows, width))
    return re.sub(r"\x1b\[[0-9;]*m", "", capture.get()).splitlines()


def bar_length(line: str) -> int:
    return sum(map(line.count, "━╸╺"))


def texts(line: str) -> str:
    """Return a line without its bar."""
    return " ".join(word for word in line.split() if not set(word) <= set("━╸╺"))


@pytest.mark.parametrize(
    ("made", "said"),
    [
        (row("a"), "a waiting"),
        (row("a", (0.0, UNKNOWN)), "a waiting"),
        (row("a", (0.0, running(0))), "a 0% 0 bytes of 100.0 MB"),
        (row("a", (0.0, running(5, None))), "a uploading 5 bytes"),
        (row("a", (0.0, running(9, 9))), "a processing 9 bytes"),
        (row("a", *DONE), "a done 100.0 MB 25.0 MB/s in 0:04"),
        (row("a", *DONE[1:]), "a done 100.0 MB"),
        (row("a", *FAILED), "a failed status 413"),
    ],
)
def test_what_a_row_says(made: Row, said: str) -> None:
    (line,) = picture([made], 100)
    assert texts(line) == said


@pytest.mark.parametrize(
    ("width", "said"),
    [
        (80, ["20%", "20.0 of 100.0 MB", "10.0 MB/s", "0:08 left", "ends "]),
        (60, ["20%", "20.0 of 100.0 MB", "10.0 MB/s", "0:08 left"]),
        (50, ["20%", "20.0 of 100.0 MB", "0:08 left"]),
        (32, ["20%", "0:08 left"]),
        (24, ["20%"]),
    ],
)
def test_a_narrow_terminal_has_the_texts_that_it_has_room_for(width: int, said: list[str]) -> None:
    (line,) = picture([row("film", *UPLOAD)], width)
    assert all(each in line for each in said)
    everything = ["20.0 of 100.0 MB", "10.0 MB/s", "0:08 left", "ends "]
    assert not any(each in line for each in everything if each not in said)
    assert bar_length(line) >= 8


def test_a_bar_keeps_its_length_while_numbers_change() -> None:
    lengths = set()
    for received in range(MEGABYTE, 70 * MEGABYTE, 7 * MEGABYTE):
        steps = (0.0, running(0, 70 * MEGABYTE)), (2.0, running(received, 70 * MEGABYTE))
        (line,) = picture([row("film", *steps)], 100)
        lengths.add(bar_length(line))
    assert len(lengths) == 1


def test_a_name_is_not_repeated() -> None:
    rows = [
        row("a.txt", part="sent"),
        row("a.txt", part="server"),
        row("b.txt", part="sent"),
        row("a.txt"),
        row("a.txt"),
    ]
    assert [texts(line) for line in picture(rows[:3], 80)] == [
        "a.txt sent waiting",
        "server waiting",
        "b.txt sent waiting",
    ]
    assert [texts(line) for line in picture(rows[3:], 80)] == ["a.txt waiting"] * 2


def test_a_long_name_is_cut() -> None:
    (line,) = picture([row("a" * 40)], 80)
    assert texts(line) == f"{'a' * 21}... waiting"


@settings(deadline=None)
@given(
    st.lists(st.tuples(st.text(), st.sampled_from([(), UPLOAD, DONE, FAILED])), min_size=1),
    st.integers(20, 200),
)
def test_a_row_is_one_line_in_any_terminal(
    rows: list[tuple[str, tuple[tuple[float, Snapshot], ...]]], width: int
) -> None:
    made = [row(label, *steps) for label, steps in rows]
    lines = picture(made, width)
    assert len(lines) == len(made)
    assert all(line.isprintable() for line in lines)


def test_what_is_said_goes_above_the_bars() -> None:
    written = io.StringIO()
    bars = Bars(Console(file=written, width=80, force_terminal=True, color_system=None))
    bars.refresh()
    bars.changed(row("a", *UPLOAD))
    bars.refresh()
    bars.say("hello \x1b[31m[bold]")
    bars.close()
    bars.close()
    shown = written.getvalue()
    assert r"hello \x1b[31m[bold]" in shown
    assert shown.index("hello") < shown.rindex("20.0 of 100.0 MB")
    assert shown.count("\x1b[?25l") == shown.count("\x1b[?25h") == 1


def test_after_the_end_there_can_be_other_bars() -> None:
    written = io.StringIO()
    bars = Bars(Console(file=written, width=80, force_terminal=True, color_system=None))
    for label in ("first", "second"):
        bars.changed(row(label, *DONE))
        bars.close()
    assert written.getvalue().rindex("first") < written.getvalue().index("second")
