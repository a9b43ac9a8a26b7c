"""What the log says of exceptions that nobody expected.

A thread that lives long, a lookup or the end of a process must not end at one: it drops the one
item that it is at, logs the exception once, and goes on.
"""

from __future__ import annotations

import logging
from contextlib import suppress

__all__ = ["FaultLog"]

logger = logging.getLogger("mod_progress")


class FaultLog:
    """Logs unexpected exceptions with their traceback, one of each kind: a fault that repeats does
    not fill the log.
    """

    def __init__(self) -> None:
        self._reported: set[tuple[str, type[BaseException]]] = set()

    def report(self, consequence: str, error: BaseException) -> None:
        """Log the exception and its consequence, unless both were logged before. Never raises."""
        kind = consequence, type(error)
        if kind in self._reported:
            return
        self._reported.add(kind)
        with suppress(Exception):  # a log handler may fail too
            logger.error("%s; this is logged once", consequence, exc_info=error)
