"""How a store carries a request to cancel to the process that serves the transfer."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import Future
from typing import NamedTuple, Protocol, runtime_checkable

from mod_progress.transfer import State

__all__ = ["KEPT", "Cancelling", "ToCancel"]

#: Seconds for which a request to cancel is kept: its owner looks several times a second, unless its
#: store or its machine is in trouble.
KEPT = 10.0


class ToCancel(NamedTuple):
    """A transfer that is to be cancelled."""

    identifier: str
    #: `contract.Update.start` of the transfer: a later one with the same id goes on.
    start: int


@runtime_checkable
class Cancelling(Protocol):
    """A store by which one process can cancel a transfer that another one serves."""

    def ask_to_cancel(self, identifier: str) -> State | Future[State]:
        """Ask the owner of a transfer to cancel it, if it is running.

        Returns the state that the transfer had, at once or as a future. Raises `StoreError`, or the
        future does, where the store cannot be used.
        """

    def to_cancel(self) -> Sequence[ToCancel]:
        """Return what this process is asked to cancel. A request may be returned again.

        The publisher calls it at each of its looks, some times a second. Raises `StoreError`.
        """
