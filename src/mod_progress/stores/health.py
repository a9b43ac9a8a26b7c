"""What the log says of faults: once that a store fails, once that it works again, and once of each
kind of exception that nobody expected.
"""

from __future__ import annotations

import logging
import threading
from contextlib import suppress

__all__ = ["FaultLog", "Health"]

logger = logging.getLogger("mod_progress")


class Health:
    """Whether the store called ``name`` works. Reading may work while writing fails, so each use
    counts on its own.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self._failing: set[str] = set()
        self._lock = threading.Lock()

    def after_fork(self) -> None:
        """Make a new lock: another thread of the parent may hold the old one."""
        self._lock = threading.Lock()

    def failed(self, use: str, why: str) -> None:
        """Note that ``use`` failed."""
        with self._lock:
            first = not self._failing
            self._failing.add(use)
        if first:
            self._warn(f"{why}; each process answers from its own table until it is back")

    def worked(self, *uses: str) -> None:
        """Note that each of ``uses`` worked."""
        if not self._failing:
            return
        with self._lock:
            self._failing.difference_update(uses)
            last = not self._failing
        if last:
            self._warn("it is back")

    def _warn(self, message: str) -> None:
        with suppress(Exception):  # a lookup must not fail because a log handler does
            logger.warning("store %s: %s", self.name, message)


class FaultLog:
    """Logs exceptions that nobody expected: one of each kind, so that a fault that repeats does not
    fill the log.
    """

    def __init__(self) -> None:
        self._reported: set[tuple[str, type[BaseException]]] = set()

    def report(self, consequence: str, error: BaseException) -> None:
        """Log the exception and its consequence. Never raises."""
        kind = consequence, type(error)
        if kind in self._reported:
            return
        self._reported.add(kind)
        with suppress(Exception):  # a thread must not end because a log handler fails
            logger.error("%s; this is logged once", consequence, exc_info=error)
