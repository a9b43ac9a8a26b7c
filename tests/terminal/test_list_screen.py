from __future__ import annotations

import io
from typing import Any

import pytest
from rich.console import Console

from mod_progress.terminal.dump import Listed
from mod_progress.terminal.list_screen import cells_of, draw
from mod_progress.terminal.view import View

NOW = 1_800_000_000.0
UPLOAD: dict[str, Any] = {
    "id": "01234567...",
    "method": "POST",
    "path": "/upload",
    "peer": "192.0.2.7",
    "direction": "upload",
    "started": "2027-01-15T07:58:40.000Z",
    "state": "running",
    "received": 250_000,
    "sent": 0,
    "request_size": 1_000_000,
    "response_size": 0,
    "status": 0,
    "rate": 20_000,
}
DOWNLOAD = {**UPLOAD, "direction": "download", "sent": 7, "response_size": 9, "request_size": 0}


@pytest.mark.parametrize(
    ("transfer", "cells"),
    [
        (UPLOAD, "01234567...|192.0.2.7|/upload|up 25%|1.0 MB|20 kB/s|1:20|running"),
        (DOWNLOAD, "01234567...|192.0.2.7|/upload|down 77%|9 bytes|20 kB/s|1:20|running"),
        (
            {**UPLOAD, "request_size": None},
            "01234567...|192.0.2.7|/upload|up|250 kB|20 kB/s|1:20|running",
        ),
        (
            {**UPLOAD, "state": "error", "status": 413, "rate": None},
            "01234567...|192.0.2.7|/upload|up 25%|1.0 MB||1:20|error 413",
        ),
        ({}, "|||up|0 bytes|||"),
        ({name: [] for name in UPLOAD}, "|||up|0 bytes|||"),
        (dict.fromkeys(UPLOAD, -1), "|||up|0 bytes|||"),
        ({"started": "0001-01-01T00:00:00"}, None),
        ({"started": "soon"}, "|||up|0 bytes|||"),
    ],
)
def test_the_texts_of_a_transfer(transfer: dict[str, Any], cells: str | None) -> None:
    found = "|".join(cells_of(transfer, NOW))
    assert cells is None or found == cells


def drawn(listed: Listed, view: View, room: int, width: int, **more: Any) -> list[str]:
    console = Console(file=io.StringIO(), width=width, height=24, legacy_windows=False)
    with console.capture() as capture:
        console.print(draw(listed, view, room, **more))
    return [line.rstrip() for line in capture.get().splitlines()]


STATES = {"running": 12_000, "done": 40, "error": 1}


def test_totals_first_then_rows_and_how_many_more() -> None:
    listed = Listed([UPLOAD] * 5, 12_000, STATES, "", NOW)
    lines = drawn(listed, View(state="running"), 3, 100)
    assert lines[0] == "12,000 running, 40 done, 1 failed  (by started, state running)"
    assert lines[1].split() == "id client path size rate age state".split()
    assert len(lines) == 7
    assert lines[2].split()[-2:] == ["1:20", "running"]
    assert lines[5:] == ["11,997 more", "s sort  r reverse  f state  / path  space pause  q quit"]


def test_a_narrow_screen_has_no_ids_and_no_line_too_many() -> None:
    long = {**UPLOAD, "path": "/" + "x" * 500, "peer": "2001:db8:0:0:0:0:0:7"}
    lines = drawn(Listed([long] * 3, 3, STATES, "", NOW), View(typed="/up"), 9, 80, wide=False)
    assert len(lines) == 7
    assert all(len(line) <= 80 for line in lines)
    assert "01234567" not in "".join(lines)
    assert lines[-1] == "path begins with: /up_"


def test_what_a_server_says_cannot_move_the_cursor() -> None:
    evil = {**UPLOAD, "path": "/\x1b[2J\nx", "peer": "\x07"}
    text = "".join(drawn(Listed([evil], 1, {}, "", NOW), View(), 3, 120, trouble="a\x1bb"))
    assert "\x1b" not in text
    assert "\x07" not in text
    assert "a\\x1bb" in text
