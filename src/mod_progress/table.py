"""The lookup table of this process: id -> Transfer, while it runs and for its ttl after.

Every operation costs O(1), however many entries there are. Nothing scans and nothing needs a
timer: finished entries leave in the order in which they came, a few with each new one, and a lookup
never believes one whose time is over. Nor does a lookup wait for a lock.
"""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable

from mod_progress.transfer import UNKNOWN, Snapshot, Transfer

#: How many entries the table holds, running and finished, where nobody says otherwise.
DEFAULT_CAPACITY = 100_000

#: How many expired entries a new one may drop: more than the one, so that the backlog shrinks, and
#: few enough that no request waits for it (0.4 microseconds an entry).
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
        #: Told of each end, if it is set: for a publisher.
        self.on_end: Callable[[Transfer], None] | None = None
        self.ttl = ttl
        self.capacity = capacity
        self._clock = clock
        # Bound once: each transfer holds it for as long as it is readable.
        self._settled = self._finish
        self.after_fork()

    def __len__(self) -> int:
        """Count the entries that are held, those that wait to be swept included."""
        return len(self._running) + len(self._finished)

    def register(self, identifier: str, request_size: int | None) -> Transfer | None:
        """Enter a new transfer; one that had the id before goes on, unseen.

        Returns None where the table is full of running transfers.
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
        # Whoever moves an entry sets the new one before it takes the old one away: so what is not
        # found in the second place may only just have come back into the first.
        transfer = self._finished.get(identifier) or running.get(identifier)
        return transfer if transfer is not None and transfer.expires > self._clock() else None

    def lookup(self, identifier: str) -> Snapshot:
        """Return the picture of this moment, `UNKNOWN` where there is none."""
        transfer = self.find(identifier)
        return UNKNOWN if transfer is None else transfer.snapshot()

    def runs(self, transfer: Transfer) -> bool:
        """Whether it is in the table, and not finished."""
        return self._running.get(transfer.identifier) is transfer

    def in_flight(self) -> list[Transfer]:
        """Return the running transfers, oldest first."""
        with self._lock:
            return list(self._running.values())

    def finished(self) -> list[tuple[str, Snapshot, float]]:
        """Return what is finished: id, last snapshot, and the seconds for which it is readable."""
        now = self._clock()
        with self._lock:
            held = list(self._finished.values())
        return [
            (transfer.identifier, transfer.snapshot(), transfer.expires - now)
            for transfer in held
            if transfer.expires > now
        ]

    def release(self, transfer: Transfer) -> None:
        """Let a running transfer go on unseen: another process has taken its id over."""
        with self._lock:
            if self.runs(transfer):
                del self._running[transfer.identifier]

    def after_fork(self) -> None:
        """Hold nothing: how the parent's transfers go on, a child does not see."""
        self._running: dict[str, Transfer] = {}
        # Ordered by the time of the end. OrderedDict, since the oldest entry of a dict that was
        # emptied from its front is found only by walking over all that have left.
        self._finished: OrderedDict[str, Transfer] = OrderedDict()
        #: No entry is over before.
        self._none_over_until = 0.0
        # Reentrant: a garbage collection inside may close an abandoned response, which settles.
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
            self.on_end(transfer)

    def _sweep(self) -> None:
        """Drop a few of the entries whose time is over."""
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
