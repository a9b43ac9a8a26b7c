"""What a store promises, whatever it is made of.

A running entry carries a lease that its owner renews. When the owner dies, the lease lapses:
whoever looks then reads `error` for the entry's ttl, and `unknown` after it.
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol, runtime_checkable

from mod_progress.transfer import Snapshot, State

#: Seconds for which a running entry is believed without a word from its owner. A dead worker's
#: transfers must read as errors within 10.
LEASE = 6.0

#: Seconds that a publisher waits for other processes to end their writing.
PATIENCE = 1.0

#: How many entries a store holds where nobody says otherwise; the oldest finished leave first.
CAPACITY = 100_000


class StoreError(Exception):
    """The store is gone, full or wrong. Its text is for the log: it never holds a credential."""


class StoreBusy(StoreError):
    """Another process is writing."""


class Update(NamedTuple):
    """What a process says of one of its transfers."""

    identifier: str
    #: When the transfer started: nanoseconds of this process's ``time.monotonic_ns``. With the
    #: process it names the transfer; of two with one id the later start wins.
    start: int
    snapshot: Snapshot
    #: Seconds for which the end stays readable; none at all drops the entry.
    ttl: float
    #: Whether it may displace an older transfer. Later words of a displaced one change nothing.
    first: bool


@dataclass(slots=True)
class Outcome:
    """What a publisher learns by publishing."""

    #: The ids whose transfer another one has displaced.
    displaced: list[str] = field(default_factory=list)
    #: Whether an entry that was published before is gone: the store was emptied meanwhile.
    emptied: bool = False


class Store(Protocol):
    """Snapshots by id, for every process to read. Safe to share among threads."""

    #: Whether publishing one snapshot takes microseconds, so that a show may wait for it.
    near: bool

    def publish(self, batch: Sequence[Update], patience: float = PATIENCE) -> Outcome:
        """Write a batch.

        May block, for ``patience`` seconds where it is other processes that it waits for; then it
        raises `StoreBusy`. Raises `StoreError`; what it wrote until then may be written again.
        """

    def lookup(self, identifier: str) -> Snapshot | Future[Snapshot]:
        """Return what is known of the id: at once, or a future that is fulfilled within a second.

        Raises nothing: what a store cannot tell is `UNKNOWN`.
        """

    def lookup_many(self, identifiers: Sequence[str]) -> list[Snapshot] | Future[list[Snapshot]]:
        """Return what is known of each id, in their order, as `lookup` does for one.

        Costs one transaction or one round trip, however many there are.
        """

    def close(self) -> None:
        """Let go of every handle. The next use opens them anew."""


@runtime_checkable
class Listing(Protocol):
    """A store that can tell what it holds. Costs a walk over all of it."""

    def entries(
        self, limit: int
    ) -> list[tuple[str, Snapshot]] | Future[list[tuple[str, Snapshot]]]:
        """Return up to ``limit`` entries, running ones first."""


def lapsed(snapshot: Snapshot) -> Snapshot:
    """Return what a running transfer reads as when its owner died: cut, with no status."""
    return snapshot._replace(state=State.ERROR, status=0)
