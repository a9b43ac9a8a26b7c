"""After a fork, renew in the child what it must not share with its parent."""

from __future__ import annotations

import os
from typing import Protocol
from weakref import WeakSet

__all__ = ["Forkable", "renew_after_fork"]


class Forkable(Protocol):
    """Something that holds locks, threads or handles, none of which works after a fork."""

    def after_fork(self) -> None:
        """Start anew in the child. Runs before any other code there, in its only thread."""


_forkables: WeakSet[Forkable] = WeakSet()


def renew_after_fork(instance: Forkable) -> None:
    """Call ``instance.after_fork`` in every child, as long as the instance lives."""
    _forkables.add(instance)


def _renew() -> None:
    for instance in list(_forkables):
        instance.after_fork()


os.register_at_fork(after_in_child=_renew)
