"""Bars in a terminal."""

from __future__ import annotations

import time
from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

from rich.cells import cell_len, set_cell_size
from rich.console import Console
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from mod_progress.terminal import words
from mod_progress.terminal.display import Row, complain
from mod_progress.terminal.meter import Meter, Phase
from mod_progress.terminal.printable import one_line

#: Characters of the narrowest bar that is of use.
_NARROWEST = 8

#: Characters of the longest name that is shown whole.
_LONGEST_NAME = 24

_COLORS = {Phase.FAILED: "red", Phase.STALLED: "yellow", Phase.DONE: "green"}


class Cells(NamedTuple):
    """The texts beside a bar, from left to right."""

    headline: str
    size: str = ""
    rate: str = ""
    time: str = ""
    end: str = ""


#: Texts as long as each is at least: so a bar keeps its length while numbers change.
_WIDTHS = Cells("100%", "31.2 of 73.4 MB", "12.4 MB/s", "0:03 left", "ends 14:03:05")

#: Which texts a terminal that is too narrow does without, the first first.
_DISPENSABLE = ("end", "rate", "size", "time")


class Bars:
    """A bar for each row. They move at the end of the output; what is said goes above them."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._rows: dict[Row, None] = {}
        self._live = Live(console=console, auto_refresh=False)

    def changed(self, row: Row) -> None:
        """Show the row from now on."""
        self._rows[row] = None

    def refresh(self) -> None:
        """Draw all bars anew."""
        if not self._rows:
            return
        now = time.monotonic()
        for row in self._rows:
            row.meter.tick(now)
        self._live.start()
        self._live.update(draw(list(self._rows), self._console.width), refresh=True)

    def say(self, text: str) -> None:
        """Print it above the bars."""
        self._console.print(Text(one_line(text)), soft_wrap=True)

    def fail(self, text: str) -> None:
        """Print below the bars, on the standard error."""
        self.close()
        complain(text)

    def close(self) -> None:
        """Leave the bars as they are, and the cursor below them. Other rows follow."""
        try:
            self.refresh()
        finally:
            self._live.stop()
            self._rows = {}


def draw(rows: Sequence[Row], width: int) -> Table:
    """Return the table of all bars, for a terminal of so many characters a line."""
    names = [_names(row, before) for before, row in zip((None, *rows), rows, strict=False)]
    cells = [cells_of(row.meter) for row in rows]
    columns = _fitting(
        cells, width - sum(max(map(cell_len, each)) + 1 for each in zip(*names, strict=True))
    )
    table = Table.grid(padding=(0, 1), expand=True)
    for _ in names[0]:
        table.add_column(no_wrap=True)
    table.add_column(ratio=1, min_width=_NARROWEST)
    for column in columns:
        table.add_column(no_wrap=True, min_width=len(_WIDTHS[column]), justify="right")
    for row, name, texts in zip(rows, names, cells, strict=True):
        color = _COLORS.get(row.meter.phase, "")
        shown = (Text(texts[column], color) for column in columns)
        table.add_row(*map(Text, name), _bar(row.meter), *shown)
    return table


def _fitting(cells: Sequence[Cells], width: int) -> list[int]:
    """Return which texts there is room for, beside the bar."""
    widths = [max(map(len, column)) + 1 for column in zip(_WIDTHS, *cells, strict=True)]
    columns = list(range(len(widths)))
    for name in _DISPENSABLE:
        if sum(widths[column] for column in columns) + _NARROWEST > width:
            columns.remove(Cells._fields.index(name))
    return columns


def _names(row: Row, before: Row | None) -> tuple[str, ...]:
    """Return the label and the part of a row. A label is not repeated."""
    label = one_line(row.label)
    if cell_len(label) > _LONGEST_NAME:
        label = f"{set_cell_size(label, _LONGEST_NAME - 3)}..."
    if before is not None and before.label == row.label and row.part:
        label = ""
    return (label, row.part) if row.part else (label,)


def cells_of(meter: Meter) -> Cells:
    """Return the texts of a transfer."""
    said = words.headline(meter)
    if meter.phase is Phase.WAITING:
        return Cells(said)
    if meter.phase is Phase.FAILED:
        return Cells(said, words.reason(meter))
    size = words.size_of(meter.amount, meter.total)
    if meter.phase is Phase.DONE:
        return Cells(said, size, *_average(meter))
    rate = "" if meter.rate is None else words.rate(meter.rate)
    if meter.seconds_left is None:
        return Cells(said, size, rate)
    end = words.clock(meter.seconds_left, datetime.now())
    left = f"{words.stopwatch(meter.seconds_left)} left"
    return Cells(said, size, rate, left, f"ends {end}" if end else "")


def _average(meter: Meter) -> tuple[str, ...]:
    """Return the rate of a whole transfer and the time that it took."""
    if not meter.elapsed:
        return ()
    return words.rate(meter.amount / meter.elapsed), f"in {words.stopwatch(meter.elapsed)}"


def _bar(meter: Meter) -> ProgressBar:
    pulses = meter.phase is Phase.PROCESSING or (meter.share is None and meter.rate is not None)
    color = _COLORS.get(meter.phase, "cyan")
    return ProgressBar(total=1.0, completed=meter.share or 0.0, pulse=pulses, complete_style=color)
