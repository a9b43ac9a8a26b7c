"""The lookup table of this process: id -> Transfer, while it runs and for ``ttl`` seconds after.

Every operation takes the same time, however many entries there are. There is no scan and no timer:
each new entry drops a few finished ones, the oldest first, and a lookup ignores an entry whose time
is over. A lookup waits for no lock.
"""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable

from mod_progress.fault_log import FaultLog
from mod_progress.transfer import UNKNOWN, Snapshot, Transfer

#: How many entries the table holds by default, running and finished.
DEFAULT_CAPACITY = 100_000

#: How many expired entries each new entry drops at the most: more than one, so that their number
#: shrinks, and few, so that no request waits for it (0.4 microseconds an entry).
SWEEP = 4


class LookupTable:
    """The transfers of this process by id. Safe to share among threads."""

    def __init__(
        self,
        ttl: float,
        capacity: int = DEFAULT_CAPACITY,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Keep finished entries for ``ttl`` seconds of ``clock``, and ``capacity`` in all."""
        #: Called with each transfer that ends, if it is set: for the publisher.
        self.on_end: Callable[[Transfer], None] | None = None
        self.ttl = ttl
        self.capacity = capacity
        self._clock = clock
        self._faults = FaultLog()
        # Bound once, as each transfer holds it: a new bound method each would take memory.
        self._settled = self._finish
        self.after_fork()

    def __len__(self) -> int:
        """Return the number of entries, including expired ones that were not dropped yet."""
        return len(self._running) + len(self._finished)

    def register(self, identifier: str, request_size: int | None) -> Transfer | None:
        """Enter a new transfer and return it; None where the table is full of running transfers.

        A transfer that had the id before goes on, but is found no more.
        """
        with self._lock:
            self._sweep()
            running, finished = self._running, self._finished
            known = identifier in running or identifier in finished
            if not known and len(running) + len(finished) >= self.capacity:
                if not finished:
                    return None
                finished.popitem(last=False)
            transfer = running[identifier] = Transfer(identifier, request_size, self._settled)
            finished.pop(identifier, None)
            return transfer

    def find(self, identifier: str) -> Transfer | None:
        """Return the transfer that has the id, running or finished; None where there is none."""
        running = self._running
        transfer = running.get(identifier)
        if transfer is not None:
            return transfer
        # An entry that moves is entered in the new place before it leaves the old one. So if it is
        # in neither, a new transfer may have taken the id between the two looks: look once more.
        transfer = self._finished.get(identifier) or running.get(identifier)
        return transfer if transfer is not None and transfer.expires > self._clock() else None

    def lookup(self, identifier: str) -> Snapshot:
        """Return a snapshot of the transfer that has the id, `UNKNOWN` where there is none."""
        transfer = self.find(identifier)
        return UNKNOWN if transfer is None else transfer.snapshot()

    def runs(self, transfer: Transfer) -> bool:
        """Whether this transfer is in the table and has not ended."""
        return self._running.get(transfer.identifier) is transfer

    def finished(self) -> list[tuple[Transfer, float]]:
        """Return each finished transfer, with the seconds left to read its end."""
        now = self._clock()
        with self._lock:
            held = list(self._finished.values())
        return [(each, each.expires - now) for each in held if each.expires > now]

    def release(self, transfer: Transfer) -> None:
        """Drop a running transfer, whose id another process has taken over. It goes on."""
        with self._lock:
            if self.runs(transfer):
                del self._running[transfer.identifier]

    def after_fork(self) -> None:
        """Drop all entries: a child process does not see how the transfers of its parent go on."""
        self._running: dict[str, Transfer] = {}
        # In the order of their ends. An OrderedDict, as a dict would walk over all the entries that
        # were deleted at its front to find the oldest one.
        self._finished: OrderedDict[str, Transfer] = OrderedDict()
        #: The time before which no entry expires.
        self._none_over_until = 0.0
        # Reentrant, as a garbage collection may run while the lock is held, close an abandoned
        # response and so end its transfer.
        self._lock = threading.RLock()

    def _finish(self, transfer: Transfer) -> None:
        with self._lock:
            if not self.runs(transfer):
                return  # another request took the id over
            if self.ttl > 0:
                transfer.expires = self._clock() + self.ttl
                self._finished[transfer.identifier] = transfer
            del self._running[transfer.identifier]
        if self.on_end is not None:
            try:
                self.on_end(transfer)
            except Exception as error:  # the request that ends must not fail for it
                self._faults.report("other processes do not know the end of a transfer", error)

    def _sweep(self) -> None:
        """Drop a few expired entries."""
        finished = self._finished
        if not finished or (now := self._clock()) < self._none_over_until:
            return
        for _ in range(SWEEP):
            oldest = next(iter(finished.values()), None)
            if oldest is None:
                return
            if oldest.expires > now:
                self._none_over_until = oldest.expires
                return
            del finished[oldest.identifier]
