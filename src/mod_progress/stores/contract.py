"""What every store promises, whatever it is made of.

A running entry carries a lease, which its owner renews. When the owner dies, the lease lapses: from
then on the entry reads as `error` for its ttl, and after that as `unknown`.
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol, runtime_checkable

from mod_progress.transfer import Snapshot, State

__all__ = [
    "CAPACITY",
    "LEASE",
    "MAX_TTL",
    "WRITE_TIMEOUT",
    "PublishResult",
    "Reporting",
    "Store",
    "StoreBusy",
    "StoreError",
    "Update",
    "lapsed",
]

#: Seconds for which a running entry is valid after its owner wrote it. The transfers of a dead
#: worker must read as errors within 10 seconds.
LEASE = 6.0

#: Seconds that a publisher waits until other processes finish writing.
WRITE_TIMEOUT = 1.0

#: How many entries a store holds by default. The oldest finished entries leave first.
CAPACITY = 100_000


#: Seconds of the longest ttl that a store keeps, ten years: longer ones do not fit its numbers.
MAX_TTL = 10 * 365 * 86_400.0


class StoreError(Exception):
    """The store is gone, full or damaged. The text is for the log and holds no credential."""


class StoreBusy(StoreError):
    """Another process is writing."""


class Update(NamedTuple):
    """What a process publishes about one of its transfers."""

    identifier: str
    #: When the transfer started: nanoseconds of this process's ``time.monotonic_ns``. Start and
    #: process together identify the transfer. Of two transfers with one id the later start wins.
    start: int
    snapshot: Snapshot
    #: Seconds for which the finished transfer stays readable, up to `MAX_TTL`; with 0 the entry is
    #: dropped.
    ttl: float
    #: Whether this is the first update of the transfer. Only the first one may displace an older
    #: transfer; later updates of a displaced transfer change nothing.
    first: bool
    #: The record of the transfer's details (`details.encode`), the same in each of its updates.
    details: bytes = b""


@dataclass(slots=True)
class PublishResult:
    """What a publisher learns by publishing."""

    #: The ids that another transfer has taken over.
    displaced: list[str] = field(default_factory=list)
    #: Whether an entry that was published before is gone: the store was emptied meanwhile.
    emptied: bool = False

    def add(self, other: PublishResult) -> None:
        """Take in the result of another part of the batch."""
        self.displaced += other.displaced
        self.emptied |= other.emptied


class Store(Protocol):
    """Snapshots by id, for every process to read. Safe to share among threads."""

    #: Whether publishing one snapshot takes microseconds, so that a show may wait for it.
    near: bool

    def publish(self, batch: Sequence[Update], timeout: float = WRITE_TIMEOUT) -> PublishResult:
        """Write a batch.

        May block; it waits at most ``timeout`` seconds for other processes that are writing, and
        then raises `StoreBusy`. Raises `StoreError` for every other fault of the store. A batch
        that failed may be in the store in part, and may be published again. Any other exception
        means that an update is not valid; the publisher then finds out which.
        """

    def lookup(self, identifier: str) -> Snapshot | Future[Snapshot]:
        """Return what is known of the id: at once, or as a future that is done within a second.

        Never raises: the answer is `UNKNOWN` if the store cannot be read.
        """

    def lookup_many(self, identifiers: Sequence[str]) -> list[Snapshot] | Future[list[Snapshot]]:
        """Return what is known of each id, in their order, as `lookup` does for one.

        Costs one transaction or one round trip, however many ids there are.
        """

    def close(self) -> None:
        """Close every handle. The next use opens new ones."""


@runtime_checkable
class Reporting(Protocol):
    """A store that knows what is wrong with it."""

    def troubles(self) -> list[str]:
        """Return that in plain words, without its address, as it was seen last.

        Asks nobody, waits for nothing and never raises.
        """


def lapsed(snapshot: Snapshot) -> Snapshot:
    """Return how a running transfer reads when its owner has died: as an error, status 0."""
    return snapshot._replace(state=State.ERROR, status=0)
