"""Say once that a store went, and once that it is back."""

from __future__ import annotations

import logging
import threading

logger = logging.getLogger("mod_progress")


class Health:
    """Whether the store called ``name`` works: in each of its uses, for reading may go on while
    writing fails.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self._failing: set[str] = set()
        self._lock = threading.Lock()

    def after_fork(self) -> None:
        """Forget a lock that another thread of the parent may hold."""
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
        """Note that these did what they should."""
        if not self._failing:
            return
        with self._lock:
            self._failing.difference_update(uses)
            last = not self._failing
        if last:
            logger.warning("store %s: it is back", self.name)
