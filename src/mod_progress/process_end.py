"""Closes what has work left when the process ends."""

from __future__ import annotations

import atexit
import os
import sys
from typing import Protocol
from weakref import WeakSet

from mod_progress.fork import for_each

__all__ = ["Closable", "close_all", "close_at_end", "notice_end"]


class Closable(Protocol):
    """Something that has work left when the process ends."""

    def close(self) -> None:
        """Do what is left, in a second at most. It may be called again."""


_closables: WeakSet[Closable] = WeakSet()

#: The process whose end multiprocessing tells of.
_noticed_in: int | None = None


def close_at_end(instance: Closable) -> None:
    """Call ``instance.close`` when the process ends, if the instance lives until then."""
    _closables.add(instance)


def notice_end() -> None:
    """Learn of the end of this process also if it is a child of multiprocessing.

    Such a child ends without the interpreter's exit functions. So this is to be called in the
    process that has the work, before there is any.
    """
    global _noticed_in
    util = sys.modules.get("multiprocessing.util")
    if util is not None and _noticed_in != os.getpid():
        _noticed_in = os.getpid()
        util.Finalize(None, close_all, exitpriority=0)


@atexit.register
def close_all() -> None:
    """Close all. If one fails, the log says so, and the next one follows."""
    for_each(_closables, _close)


def _close(instance: Closable) -> None:
    instance.close()
