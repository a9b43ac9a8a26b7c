"""A clock for a gateway under test, so that its limits of time do not depend on the machine's."""

from __future__ import annotations

import multiprocessing
import time
from typing import Any

import uvloop

#: Seconds within which a worker must look at its clock.
PATIENCE = 30.0

#: Turns of a worker's loop within which it has done all that what was sent gives it to do, such as
#: to connect to a backend; and the least seconds between two of them that are counted.
TURNS = 10
TURN = 0.001


class StandingClock:
    """The time of a worker in another process. It passes only when the test lets it pass."""

    def __init__(self) -> None:
        context = multiprocessing.get_context("fork")
        self._now = context.Value("d", 1000.0)
        self._looks = context.Value("Q", 0)
        self._turns = context.Value("Q", 0, lock=False)

    def turn(self) -> None:
        """Count a turn of the loop; for the worker."""
        self._turns.value += 1

    def look(self) -> float:
        """Return the time; for the worker."""
        with self._looks.get_lock():
            self._looks.value += 1
        return float(self._now.value)

    def advance(self, seconds: float) -> None:
        """Let time pass; return when the worker has served its sockets and enforced its deadlines.

        What was sent before is served before the time passes.
        """
        self._await_silence()
        self._now.value += seconds
        self._await_silence()

    def _await_silence(self) -> None:
        """Wait until the worker has served its sockets, and then for two looks.

        While its sockets are silent, it looks once each tick.
        """
        self._await_more(self._turns, TURNS)
        self._await_more(self._looks, 2)

    @staticmethod
    def _await_more(count: Any, more: int) -> None:
        wanted = count.value + more
        deadline = time.monotonic() + PATIENCE
        while count.value < wanted:
            assert time.monotonic() < deadline, "the worker does not look at its clock"
            time.sleep(0.002)

    def new_event_loop(self) -> uvloop.Loop:
        """Return a loop that has this time. Its timers pass in the machine's time."""
        loop = _Loop()
        loop.clock = self
        loop.count_turns()
        return loop


class _Loop(uvloop.Loop):
    clock: StandingClock

    def time(self) -> float:
        return self.clock.look()

    def count_turns(self) -> None:
        self.clock.turn()
        self.call_later(TURN, self.count_turns)
