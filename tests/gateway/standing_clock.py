"""A clock for a gateway under test, so that its limits of time do not depend on the machine's."""

from __future__ import annotations

import multiprocessing
import time

import uvloop

#: Seconds within which a worker must look at its clock.
PATIENCE = 30.0


class StandingClock:
    """The time of a worker in another process. It passes only when the test lets it pass."""

    def __init__(self) -> None:
        context = multiprocessing.get_context("fork")
        self._now = context.Value("d", 1000.0)
        self._looks = context.Value("Q", 0)

    def look(self) -> float:
        """Return the time; for the worker."""
        with self._looks.get_lock():
            self._looks.value += 1
        return float(self._now.value)

    def advance(self, seconds: float) -> None:
        """Let time pass; return when the worker has served its sockets and enforced its deadlines.

        What was sent before is served before the time passes.
        """
        self._await_looks()
        self._now.value += seconds
        self._await_looks()

    def _await_looks(self) -> None:
        """Wait for two looks of the worker. If its sockets are silent, it looks once each tick."""
        seen = self._looks.value
        deadline = time.monotonic() + PATIENCE
        while self._looks.value < seen + 2:
            assert time.monotonic() < deadline, "the worker does not look at its clock"
            time.sleep(0.002)

    def new_event_loop(self) -> uvloop.Loop:
        """Return a loop that has this time. Its timers pass in the machine's time."""
        loop = _Loop()
        loop.clock = self
        return loop


class _Loop(uvloop.Loop):
    clock: StandingClock

    def time(self) -> float:
        return self.clock.look()
