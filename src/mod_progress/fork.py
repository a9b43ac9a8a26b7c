"""After a fork, renew in the child what it must not share with its parent."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from typing import Protocol, TypeVar
from weakref import WeakSet

from mod_progress.fault_log import FaultLog

__all__ = ["Forkable", "ProcessNumber", "for_each", "renew_after_fork"]

_Instance = TypeVar("_Instance")


class Forkable(Protocol):
    """Something that holds locks, threads or handles, none of which works after a fork."""

    def after_fork(self) -> None:
        """Start anew in the child. Runs before any other code there, in its only thread."""


_faults = FaultLog()

_forkables: WeakSet[Forkable] = WeakSet()


def renew_after_fork(instance: Forkable) -> None:
    """Call ``instance.after_fork`` in every child, as long as the instance lives."""
    _forkables.add(instance)


class ProcessNumber:
    """A random number of 64 bits that is another one in each process.

    It looks at the process's id each time, as uWSGI forks without running the hooks of Python.
    """

    def __init__(self) -> None:
        self.after_fork()
        renew_after_fork(self)

    def after_fork(self) -> None:
        """Take a new number, when it is asked for."""
        self._process = 0

    def get(self) -> int:
        """Return the number. Takes 0.1 microseconds."""
        process = os.getpid()
        if process != self._process:
            self._number = int.from_bytes(os.urandom(8))
            self._process = process
        return self._number


def for_each(instances: Iterable[_Instance], step: Callable[[_Instance], object]) -> None:
    """Call ``step`` with each instance. If one fails, the log says so, and the next one follows.

    This is for steps at a fork or at the end of the process, where nobody handles an exception.
    """
    for instance in list(instances):
        try:
            step(instance)
        except Exception as error:
            _faults.report(f"{step.__qualname__} failed", error)


if hasattr(os, "register_at_fork"):  # which Windows lacks, and needs not
    os.register_at_fork(after_in_child=lambda: for_each(_forkables, _renew))


def _renew(instance: Forkable) -> None:
    instance.after_fork()
