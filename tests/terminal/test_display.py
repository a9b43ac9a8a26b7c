from __future__ import annotations

import json
import time

import pytest

from mod_progress.terminal import display
from mod_progress.terminal.display import JsonLines, Lines, Row
from mod_progress.transfer import UNKNOWN, Snapshot, State


class Clock:
    """A clock that the test moves."""

    def __init__(self) -> None:
        self.now = 100.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    monkeypatch.setattr(time, "monotonic", made.monotonic)
    return made


def running(received: int, size: int | None = 1000) -> Snapshot:
    return Snapshot(State.RUNNING, received, 0, size, 0)


DONE = Snapshot(State.DONE, 1000, 5, 1000, 5)


def printed(
    clock: Clock, capsys: pytest.CaptureFixture[str], *steps: tuple[float, Snapshot]
) -> list[str]:
    """Return the lines of a row that gets snapshots after so many seconds each."""
    lines, row = Lines(), Row("a")
    for seconds, snapshot in steps:
        clock.now += seconds
        row.meter.update(snapshot, clock.now)
        lines.changed(row)
    lines.close()
    return capsys.readouterr().out.splitlines()


def test_a_line_for_each_state_and_each_tenth(
    clock: Clock, capsys: pytest.CaptureFixture[str]
) -> None:
    amounts = range(0, 1000, 40)
    steps = [(0.0, UNKNOWN), (1.0, UNKNOWN), *((0.01, running(each)) for each in amounts)]
    lines = printed(clock, capsys, *steps, (0.0, running(1000)), (0.0, DONE))
    assert lines == [
        "a: waiting",
        "a: 0%, 0 bytes of 1 kB",
        *(f"a: {share}%, {10 * share} bytes of 1 kB" for share in (12, 20, 32, 40, 52)),
        *(f"a: {share}%, {10 * share} bytes of 1 kB" for share in (60, 72, 80, 92)),
        "a: processing, 1 kB",
        "a: done, 1 kB",
    ]


def test_a_line_now_and_then_where_the_size_is_unknown(
    clock: Clock, capsys: pytest.CaptureFixture[str]
) -> None:
    steps = [(1.0, running(100 * second, None)) for second in range(25)]
    lines = printed(clock, capsys, *steps)
    assert lines == [
        "a: uploading, 0 bytes",
        "a: uploading, 1 kB, 100 bytes/s",
        "a: uploading, 2 kB, 100 bytes/s",
    ]


def test_the_rate_the_time_left_and_the_end(
    clock: Clock, capsys: pytest.CaptureFixture[str]
) -> None:
    first, second, third = printed(
        clock, capsys, (0.0, running(0)), (2.0, running(200)), (9.0, DONE)
    )
    assert first == "a: 0%, 0 bytes of 1 kB"
    assert second.startswith("a: 20%, 200 bytes of 1 kB, 100 bytes/s, 8 sec left, ends ")
    assert third == "a: done, 1 kB in 11 sec"


def test_the_time_alone_has_a_line_when_it_stalls(
    clock: Clock, capsys: pytest.CaptureFixture[str]
) -> None:
    lines, row = Lines(), Row("a")
    row.meter.update(running(100), clock.now)
    lines.changed(row)
    lines.refresh()
    clock.now += 5
    lines.refresh()
    lines.refresh()
    assert capsys.readouterr().out.splitlines() == [
        "a: 10%, 100 bytes of 1 kB",
        "a: stalled, 100 bytes of 1 kB",
    ]


@pytest.mark.parametrize(
    ("snapshot", "line"),
    [
        (Snapshot(State.ERROR, status=413), "a: failed, status 413"),
        (Snapshot(State.ERROR), "a: failed, cut off"),
    ],
)
def test_a_failure(
    clock: Clock, capsys: pytest.CaptureFixture[str], snapshot: Snapshot, line: str
) -> None:
    assert printed(clock, capsys, (0.0, snapshot)) == [line]


def test_what_is_given_up_has_its_line_at_the_end(
    clock: Clock, capsys: pytest.CaptureFixture[str]
) -> None:
    lines, row = Lines(), Row("a")
    lines.changed(row)
    row.meter.give_up(clock.now)
    lines.close()
    lines.close()
    assert capsys.readouterr().out.splitlines() == ["a: waiting", "a: failed, unknown id"]


def test_a_row_with_a_part(capsys: pytest.CaptureFixture[str]) -> None:
    Lines().changed(Row("film.mp4", part="sent"))
    assert capsys.readouterr().out == "film.mp4 sent: waiting\n"


def test_json_has_a_line_for_each_change(capsys: pytest.CaptureFixture[str]) -> None:
    json_lines, row = JsonLines(), Row("short", "the-whole-id")
    for snapshot in (UNKNOWN, running(5), DONE):
        row.meter.update(snapshot, 0.0)
        json_lines.changed(row)
    json_lines.refresh()
    json_lines.close()
    lines = capsys.readouterr().out.splitlines()
    assert [json.loads(line)["state"] for line in lines] == ["unknown", "running", "done"]
    assert {json.loads(line)["id"] for line in lines} == {"the-whole-id"}


def test_what_people_are_told_is_no_json(capsys: pytest.CaptureFixture[str]) -> None:
    json_lines = JsonLines()
    json_lines.say("one")
    json_lines.fail("two")
    assert capsys.readouterr() == ("", "mod-progress: one\nmod-progress: two\n")


def test_nothing_commands_the_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    lines = Lines()
    lines.changed(Row("\x1b]0;title\x07"))
    lines.say("\x1b")
    lines.fail("\x1b")
    display.complain("\x9b")
    assert capsys.readouterr() == (
        "\\x1b]0;title\\x07: waiting\n\\x1b\n",
        "mod-progress: \\x1b\nmod-progress: \\x9b\n",
    )
