"""Log once when a store fails, and once when it works again."""

from __future__ import annotations

import logging
import threading

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
            logger.warning(
                "store %s: %s; each process answers from its own table until it is back",
                self.name,
                why,
            )

    def worked(self, *uses: str) -> None:
        """Note that each of ``uses`` worked."""
        if not self._failing:
            return
        with self._lock:
            self._failing.difference_update(uses)
            last = not self._failing
        if last:
            logger.warning("store %s: it is back", self.name)
