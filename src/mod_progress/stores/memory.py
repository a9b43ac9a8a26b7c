"""The store of a single process: for tests, and for those who ask for it."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from itertools import islice
from typing import NamedTuple

from mod_progress.fork import renew_after_fork
from mod_progress.stores.cancelling import KEPT, ToCancel
from mod_progress.stores.contract import (
    CAPACITY,
    LEASE,
    WRITE_TIMEOUT,
    PublishResult,
    Update,
    lapsed,
)
from mod_progress.stores.listing import Page, Query, Row
from mod_progress.stores.totals import Totals
from mod_progress.stores.walks import SLICE, Walks
from mod_progress.transfer import UNKNOWN, Snapshot, State

__all__ = ["MemoryStore"]

#: How many expired entries each update may remove: more than the one that it may add.
SWEEP = 2


class _Entry(NamedTuple):
    start: int
    #: When the lease of a running entry lapses, or a finished entry expires.
    deadline: float
    ttl: float
    snapshot: Snapshot
    details: bytes

    def read(self, now: float) -> Snapshot:
        if now < self.deadline:
            return self.snapshot
        if self.snapshot.state is State.RUNNING and now < self.deadline + self.ttl:
            return lapsed(self.snapshot)
        return UNKNOWN


class MemoryStore:
    """A dictionary that keeps the contract of `stores.contract.Store`."""

    near = True

    def __init__(
        self,
        capacity: int = CAPACITY,
        lease: float = LEASE,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._capacity = capacity
        self._lease = lease
        self._clock = clock
        self._walks = Walks(self._walk, self._read_totals)
        self.after_fork()
        renew_after_fork(self)

    def after_fork(self) -> None:
        """Start empty: a child does not see how the parent's transfers go on."""
        # Both in the order of their last write, so that those that expire first are in front.
        self._running: OrderedDict[str, _Entry] = OrderedDict()
        self._finished: OrderedDict[str, _Entry] = OrderedDict()
        self._totals = Totals()
        self._lock = threading.Lock()
        #: What is to be cancelled, and until when that is kept.
        self._to_cancel: dict[ToCancel, float] = {}

    def publish(self, batch: Sequence[Update], timeout: float = WRITE_TIMEOUT) -> PublishResult:
        """Write a batch; there is no other process to wait for."""
        now = self._clock()
        with self._lock:
            displaced = [update.identifier for update in batch if not self._write(update, now)]
        return PublishResult(displaced)

    def lookup(self, identifier: str) -> Snapshot:
        """Return what is known of the id."""
        entry = self._get(identifier)
        return UNKNOWN if entry is None else entry.read(self._clock())

    def lookup_many(self, identifiers: Sequence[str]) -> list[Snapshot]:
        """Return what is known of each id, in their order."""
        return [self.lookup(identifier) for identifier in identifiers]

    def ask_to_cancel(self, identifier: str) -> State:
        """Note that a transfer is to be cancelled, if it is running; return its state."""
        entry = self._get(identifier)
        state = State.UNKNOWN if entry is None else entry.read(self._clock()).state
        if entry is not None and state is State.RUNNING:
            with self._lock:
                self._to_cancel[ToCancel(identifier, entry.start)] = self._clock() + KEPT
        return state

    def to_cancel(self) -> list[ToCancel]:
        """Return what is to be cancelled. All trackers that share this store see each request."""
        if not self._to_cancel:
            return []
        now = self._clock()
        with self._lock:
            kept = {each: until for each, until in self._to_cancel.items() if until > now}
            self._to_cancel = kept
        return [*kept]

    def page(self, query: Query) -> Future[Page]:
        """Return a future of a page of the entries."""
        return self._walks.page(query)

    def add_totals(self, totals: Totals) -> None:
        """Add to the totals of this process."""
        with self._lock:
            self._totals.add(totals)

    def _read_totals(self) -> Totals:
        with self._lock:
            return Totals(self._totals.numbers)

    def _walk(self) -> Iterator[list[Row]]:
        """Yield all entries, in slices."""
        with self._lock:
            # In no order: to follow that of an OrderedDict takes ten times as long.
            identifiers = iter([*dict.keys(self._running), *dict.keys(self._finished)])
        while some := list(islice(identifiers, SLICE)):
            now = self._clock()
            found = ((each, self._get(each)) for each in some)
            rows = [(each, entry.read(now), entry.details) for each, entry in found if entry]
            yield [row for row in rows if row[1] is not UNKNOWN]

    def close(self) -> None:
        """Do nothing: there is no handle."""

    def _get(self, identifier: str) -> _Entry | None:
        return self._running.get(identifier) or self._finished.get(identifier)

    def _write(self, update: Update, now: float) -> bool:
        """Write one update; return False if a later transfer holds its id."""
        identifier, start, snapshot, ttl, _, details = update
        self._sweep(now)
        held = self._get(identifier)
        if held is not None and held.start > start and held.read(now) is not UNKNOWN:
            return False
        self._running.pop(identifier, None)
        self._finished.pop(identifier, None)
        if snapshot.state is State.RUNNING:
            self._running[identifier] = _Entry(start, now + self._lease, ttl, snapshot, details)
        elif ttl > 0:
            self._finished[identifier] = _Entry(start, now + ttl, ttl, snapshot, details)
        while self._finished and len(self._running) + len(self._finished) > self._capacity:
            self._finished.popitem(last=False)
        return True

    def _sweep(self, now: float) -> None:
        """Remove a few expired entries."""
        for entries in (self._running, self._finished):
            for identifier, entry in list(islice(entries.items(), SWEEP)):
                if entry.read(now) is UNKNOWN:
                    del entries[identifier]
