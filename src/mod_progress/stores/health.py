"""Log once when a store fails, and once when it works again."""

from __future__ import annotations

import logging
import threading
from contextlib import suppress

__all__ = ["Health"]

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

    def fails(self, use: str) -> bool:
        """Whether ``use`` failed the last time."""
        return use in self._failing

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
