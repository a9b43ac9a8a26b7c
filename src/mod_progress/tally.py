"""Counts what this process publishes, and adds it to the totals of the store."""

from __future__ import annotations

import math

from mod_progress.fault_log import FaultLog
from mod_progress.publication import Publication
from mod_progress.stores.contract import Store, StoreError
from mod_progress.stores.totals import Counting, Totals
from mod_progress.transfer import Snapshot

__all__ = ["Tally"]

#: Seconds between two additions. One takes 30 microseconds, or a round trip where the store is not
#: near: too much for each of many small transfers. A process that is killed loses what waits, which
#: is up to 0.2 seconds old.
PAUSE = 0.05
PAUSE_REMOTE = 0.2

#: Seconds between two attempts while the store fails.
RETRY = 1.0


class Tally:
    """What was published, and is not in the totals of ``store`` yet."""

    def __init__(self, store: Store) -> None:
        self._store = store if isinstance(store, Counting) else None
        self._pause = PAUSE if store.near else PAUSE_REMOTE
        self._faults = FaultLog()
        self._new = Totals()
        #: What is being added. It stays the same until the store has it.
        self._adding: Totals | None = None
        self._add_at = 0.0

    @property
    def waits(self) -> bool:
        """Whether there is something to add."""
        return self._store is not None and (self._adding is not None or bool(self._new))

    def count(self, publication: Publication, snapshot: Snapshot, ttl: float) -> None:
        """Count what ``snapshot`` has that was not published before."""
        self._new.count_bytes(publication.snapshot, snapshot)
        transfer = publication.transfer
        if publication.ended_at and not transfer.end_published:
            # The table knows the very moment of the end; the publisher learns of it a bit late.
            exact = ttl > 0 and transfer.expires < math.inf
            ended = transfer.expires - ttl if exact else publication.ended_at
            self._new.count_end(snapshot, ended - publication.start / 1e9)

    def add(self, now: float, last: bool = False) -> None:
        """Add what was counted to the totals of the store, if it is time, or the ``last`` time.

        Never raises.
        """
        if (now < self._add_at and not last) or self._store is None:
            return
        if self._adding is None:
            if not self._new:
                return
            self._adding, self._new = self._new, Totals()
        try:
            self._store.add_totals(self._adding)
            self._add_at = now + self._pause
            self._adding = None
        except StoreError:  # which publishing meets too, and reports
            self._add_at = now + RETRY
        except Exception as error:
            self._faults.report("the totals lack some transfers", error)
            self._adding = None
