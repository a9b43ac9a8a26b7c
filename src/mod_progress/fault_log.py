"""What the log says of exceptions that nobody expected: each kind once.

What lives long (a thread, a clock, a parent process) never ends by such an exception: it drops the
one item, reports the fault here, and goes on.
"""

from __future__ import annotations

import logging
from contextlib import suppress

__all__ = ["FaultLog"]

logger = logging.getLogger("mod_progress")


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
