"""What a child process must not share with its parent is renewed after a fork."""

from __future__ import annotations

import os
from typing import Protocol
from weakref import WeakSet


class Forkable(Protocol):
    """Holds locks, threads or handles, none of which survives a fork."""

    def after_fork(self) -> None:
        """Start anew in the child. Runs before any other code of it, with no other thread."""


_forkables: WeakSet[Forkable] = WeakSet()


def renew_after_fork(instance: Forkable) -> None:
    """Have ``instance.after_fork`` called in every child, as long as the instance lives."""
    _forkables.add(instance)


def _renew() -> None:
    for instance in list(_forkables):
        instance.after_fork()


os.register_at_fork(after_in_child=_renew)
