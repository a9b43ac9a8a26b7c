"""A ticker that ticks when a test says so, by a clock of the test's."""

from __future__ import annotations

from mod_progress.show.ticker import Ticker
from mod_progress.tracker import Tracker
from tests.clock import Clock


class DrivenTicker(Ticker):
    """Has no thread."""

    def __init__(self, tracker: Tracker, clock: Clock) -> None:
        super().__init__(tracker, clock=clock)

    def _start(self) -> bool:
        return True

    def tick(self) -> None:
        self._next_tick = 0.0
        self._round()

    @property
    def watched(self) -> int:
        """How many watch."""
        return len(self._watchers)
