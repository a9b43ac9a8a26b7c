"""What is printed: bars in a terminal, lines where the output is none, or JSON for programs."""

from __future__ import annotations

import sys
import time
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

from mod_progress.terminal import words
from mod_progress.terminal.meter import Meter, Phase
from mod_progress.terminal.printable import one_line
from mod_progress.terminal.report import render_report
from mod_progress.transfer import Snapshot

#: Seconds after which a transfer that moves has a new line, if it has had none for a percentage.
LINE_SECONDS = 10.0

#: Lines of a transfer, where its size is known: one for each of so many parts.
LINE_STEPS = 10


@dataclass(slots=True, eq=False)
class Row:
    """One bar, or the lines of one transfer."""

    #: What a person calls the transfer.
    label: str
    #: The id as it was given.
    identifier: str = ""
    #: Whose numbers these are, where there are several bars of one transfer.
    part: str = ""
    meter: Meter = field(default_factory=Meter)

    def update(self, snapshot: Snapshot) -> None:
        """Take in a new snapshot."""
        self.meter.update(snapshot, time.monotonic())

    @property
    def name(self) -> str:
        """What the row is called in a line."""
        return f"{self.label} {self.part}".rstrip()


class Display(Protocol):
    """Shows rows."""

    def changed(self, row: Row) -> None:
        """Show a row for the first time, or with new numbers."""

    def refresh(self) -> None:
        """Show what the time has changed. It is called several times a second."""

    def say(self, text: str) -> None:
        """Tell a person something that is no progress."""

    def fail(self, text: str) -> None:
        """Tell a person why something ends early: on the standard error."""

    def close(self) -> None:
        """Show the rows for the last time, and leave the output as other programs expect it."""


def complain(text: str) -> None:
    """Print to the standard error, under the program's name."""
    print(f"mod-progress: {one_line(text)}", file=sys.stderr, flush=True)


class JsonLines:
    """One line of JSON for each change, for programs. What people are told goes elsewhere."""

    def changed(self, row: Row) -> None:
        """Print what the server says."""
        print(render_report(row.identifier, row.meter.snapshot), flush=True)

    def refresh(self) -> None:
        """The time changes nothing that the server says."""

    def say(self, text: str) -> None:
        """Print to the standard error."""
        complain(text)

    def fail(self, text: str) -> None:
        """Print to the standard error."""
        complain(text)

    def close(self) -> None:
        """There is nothing to clean up."""


@dataclass(slots=True)
class _Printed:
    """What the last line of a row said, and when."""

    phase: Phase | None = None
    step: int = 0
    amount: int = 0
    time: float = 0.0


class Lines:
    """A line for each step, for a log: when the state changes, and at each tenth of the bytes."""

    def __init__(self) -> None:
        self._printed: dict[Row, _Printed] = {}

    def changed(self, row: Row) -> None:
        """Print the row if it says something new."""
        last = self._printed.setdefault(row, _Printed())
        meter, now = row.meter, time.monotonic()
        step = int(LINE_STEPS * (meter.share or 0))
        late = meter.amount != last.amount and now - last.time >= LINE_SECONDS
        if meter.phase is last.phase and step <= last.step and not late:
            return
        self._printed[row] = _Printed(meter.phase, step, meter.amount, now)
        self._print(f"{row.name}: {describe(meter)}")

    def refresh(self) -> None:
        """Print the rows that have stalled."""
        for row in list(self._printed):
            row.meter.tick(time.monotonic())
            self.changed(row)

    def say(self, text: str) -> None:
        """Print it among the lines."""
        self._print(text)

    def fail(self, text: str) -> None:
        """Print to the standard error."""
        complain(text)

    def close(self) -> None:
        """Print the last lines, and forget the rows."""
        self.refresh()
        self._printed = {}

    def _print(self, text: str) -> None:
        print(one_line(text), flush=True)


def describe(meter: Meter) -> str:
    """Return all that there is to say about a transfer, in one line."""
    said = [words.headline(meter)]
    if meter.phase is Phase.FAILED:
        said.append(words.reason(meter))
    elif meter.phase is not Phase.WAITING:
        said.append(words.size_of(meter.amount, meter.total))
    if meter.phase is Phase.DONE and meter.elapsed is not None:
        said[-1] += f" in {words.duration(meter.elapsed)}"
    if meter.rate is not None:
        said.append(words.rate(meter.rate))
    if meter.seconds_left is not None:
        said.append(f"{words.duration(meter.seconds_left)} left")
        end = words.clock(meter.seconds_left, datetime.now())
        if end:
            said.append(f"ends {end}")
    return ", ".join(said)
