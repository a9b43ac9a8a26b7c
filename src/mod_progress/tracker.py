"""Tracks requests and looks transfers up, with the options, the table and the store of a front."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from concurrent.futures import Future
from enum import Enum

from mod_progress.details import MOST_PATH, Details
from mod_progress.fault_log import FaultLog
from mod_progress.fork import renew_after_fork
from mod_progress.futures import map_future
from mod_progress.identifier import (
    OWNER_PREFIX,
    PARAMETER,
    RULE,
    check_identifier,
    find_identifier,
    lets_only_look,
    shared_form,
    shorten,
)
from mod_progress.options import Options
from mod_progress.publisher import Publisher
from mod_progress.stores.cancelling import Cancelling
from mod_progress.stores.contract import Reporting, Store, StoreError
from mod_progress.stores.listing import Listing, Page, Query
from mod_progress.table import DEFAULT_CAPACITY, LookupTable
from mod_progress.transfer import UNKNOWN, Snapshot, State, Transfer

logger = logging.getLogger("mod_progress")


#: The id that is looked up to see whether the store answers.
_ANY = "any"


class Cancellation(Enum):
    """What came of the wish to cancel a transfer."""

    ENDED = "it has ended, now or before"
    ASKED = "the process that serves it was asked to cancel it"
    UNKNOWN = "there is no such transfer"
    FAILED = "the store cannot carry the wish"


_CANCELLATIONS = {State.RUNNING: Cancellation.ASKED, State.UNKNOWN: Cancellation.UNKNOWN}


class Tracker:
    """The options, the table of this process and the store behind it.

    Tracking never breaks, delays or refuses the request that it watches.
    """

    def __init__(
        self,
        options: Options | None = None,
        store: Store | None = None,
        capacity: int = DEFAULT_CAPACITY,
    ) -> None:
        self.options = options or Options()
        self.store = store
        self.table = LookupTable(self.options.ttl, capacity)
        self._publisher: Publisher | None = None
        if store is not None:
            self._publisher = Publisher(store, self.table)
            self.table.on_end = self._publisher.ended
        self._full = False
        self._faults = FaultLog()
        renew_after_fork(self.table)

    def track(
        self,
        method: str,
        query: bytes,
        header: bytes | None,
        request_size: int | None,
        options: Options | None = None,
        *,
        path: str = "",
        peer: str = "",
    ) -> Transfer | None:
        """Register a request that is to be tracked; return None where it is not.

        ``header`` is the value of the request header `identifier.FIELD`. ``request_size`` is the
        size of the body in bytes, None while nobody knows it. ``options`` replace those of the
        tracker for this request, except for the ttl. ``path`` is that of the request without its
        query, and ``peer`` the client's address: for listings.
        """
        options = options or self.options
        if method not in options.methods:
            if options.debug:
                tracked = ", ".join(sorted(options.methods))
                logger.debug("not tracked: the method is %s, tracked: %s", method, tracked)
            return None
        candidate = find_identifier(query, header)
        identifier = check_identifier(candidate)
        if identifier is None or lets_only_look(identifier):
            if options.debug:
                logger.debug("not tracked: %s", _why_not(candidate, identifier))
            return None
        transfer = self.table.register(shared_form(identifier), request_size)
        if transfer is None:
            self._warn_that_it_is_full()
            return None
        # By the constructor of NamedTuple it would take three times as long, 0.2 microseconds more.
        transfer.details = tuple.__new__(Details, (method, path[:MOST_PATH], peer))
        self._full = False
        self._publish(transfer)
        if options.debug:
            logger.debug("tracking %s %s", method, shorten(identifier))
        return transfer

    def _publish(self, transfer: Transfer) -> None:
        if self._publisher is not None:
            try:
                self._publisher.started(transfer)
            except Exception as error:  # the request that is tracked must not fail for it
                self._faults.report("a transfer is not published to other processes", error)

    def look(self, identifier: str) -> Snapshot | Future[Snapshot]:
        """Return how far a transfer is, at once or as a future where the store is far away.

        A transfer that runs in this process is answered from its own counters. For one that ended
        here the store is asked first, as another process may have taken the id over since. Where
        the store does not know it, this process answers.
        """
        transfer = self.table.find(identifier)
        if self.store is None or self._publisher is None:
            return UNKNOWN if transfer is None else transfer.snapshot()
        if transfer is not None and not transfer.end_published:
            return self._publisher.shown(transfer)
        try:
            found = self.store.lookup(identifier)
        except Exception as error:
            found = self.lookup_failed(error)
        if transfer is None:
            return found
        own = transfer.snapshot()
        if isinstance(found, Snapshot):
            return own if found.state is State.UNKNOWN else found
        return map_future(
            found, lambda far: own if far.state is State.UNKNOWN else far, self.lookup_failed
        )

    def look_many(self, identifiers: Sequence[str]) -> list[Snapshot] | Future[list[Snapshot]]:
        """Return how far each transfer is, in their order, as `look` does for one.

        The store is asked once, for all that it may know better than this process.
        """
        transfers = [self.table.find(identifier) for identifier in identifiers]
        asked = [
            place for place, each in enumerate(transfers) if each is None or each.end_published
        ]
        found = self._look_here(transfers)
        if self.store is None or not asked:
            return found

        def merge(stored: Sequence[Snapshot]) -> list[Snapshot]:
            for place, snapshot in zip(asked, stored, strict=True):
                if snapshot.state is not State.UNKNOWN:
                    found[place] = snapshot
            return found

        def know_nothing(error: Exception) -> list[Snapshot]:
            return [self.lookup_failed(error)] * len(asked)

        try:
            stored = self.store.lookup_many([identifiers[place] for place in asked])
        except Exception as error:
            stored = know_nothing(error)
        if isinstance(stored, list):
            return merge(stored)
        return map_future(stored, merge, know_nothing)

    def _look_here(self, transfers: Sequence[Transfer | None]) -> list[Snapshot]:
        """Return how far the transfers of this process are; `UNKNOWN` stands for None."""
        own = [each for each in transfers if each is not None]
        shown = iter(
            [each.snapshot() for each in own]
            if self._publisher is None
            else self._publisher.shown_many(own)
        )
        return [UNKNOWN if each is None else next(shown) for each in transfers]

    def cancel(self, identifier: str) -> Cancellation | Future[Cancellation]:
        """Cancel a transfer, wherever it runs: here at once, elsewhere within about a second."""
        transfer = self.table.find(identifier)
        if transfer is not None and transfer.state is State.RUNNING:
            transfer.cancel()
            return Cancellation.ENDED
        known = Cancellation.UNKNOWN if transfer is None else Cancellation.ENDED

        def read(state: State) -> Cancellation:
            found = _CANCELLATIONS.get(state, Cancellation.ENDED)
            return known if found is Cancellation.UNKNOWN else found

        try:
            if not isinstance(self.store, Cancelling):
                return known
            asked = self.store.ask_to_cancel(identifier)
        except Exception as error:
            return self._cannot_cancel(error)
        if isinstance(asked, State):
            return read(asked)
        return map_future(map_future(asked, read), lambda found: found, self._cannot_cancel)

    def _cannot_cancel(self, error: Exception) -> Cancellation:
        if not isinstance(error, StoreError):
            self._faults.report("a transfer of another process is not cancelled", error)
        return Cancellation.FAILED

    def page(self, query: Query) -> Future[Page]:
        """Return a future of a page of the transfers of all processes that use the store.

        It fails with `StoreError` where the store cannot be listed.
        """
        failed: Future[Page] = Future()
        try:
            if isinstance(self.store, Listing):
                return self.store.page(query)
            failed.set_exception(StoreError("the store lists nothing"))
        except Exception as error:
            self._faults.report("nothing is listed", error)
            failed.set_exception(StoreError("the store cannot be listed"))
        return failed

    def troubles(self) -> list[str]:
        """Return in plain words why other processes may learn too little; nothing if all is well.

        It waits for nobody: it goes by what was seen last, and has the store asked meanwhile. So
        the fault of a store that is far away, and that nobody asked, is known the next time.
        """
        if self.store is None or self._publisher is None:
            return []
        try:
            self.store.lookup(_ANY)
            found = self.store.troubles() if isinstance(self.store, Reporting) else []
            return self._publisher.troubles() + found
        except Exception as error:
            self._faults.report("whether all is well is not known", error)
            return ["the store cannot be asked"]

    def lag(self) -> float:
        """Return for how many seconds transfers of this process have waited to be published."""
        return 0.0 if self._publisher is None else self._publisher.lag()

    def lookup_failed(self, error: Exception) -> Snapshot:
        """Return what a lookup finds that raised ``error``, which no store should."""
        self._faults.report("the store cannot be asked: this process answers alone", error)
        return UNKNOWN

    def close(self) -> None:
        """Publish the last ends, which takes a second at most, and close the store."""
        if self.store is not None and self._publisher is not None:
            self._publisher.close()
            self.store.close()

    def _warn_that_it_is_full(self) -> None:
        """Warn once, until there is room again, that requests go on untracked."""
        if not self._full:
            self._full = True
            logger.warning(
                "the table is full: %d transfers are running, new ones go on untracked",
                self.table.capacity,
            )


def _why_not(candidate: bytes | None, identifier: str | None) -> str:
    if candidate is None:
        return f"no {PARAMETER} in the query or the headers"
    shown = shorten(candidate.decode("latin-1"))
    if identifier is None:
        return f"{PARAMETER} {shown!r} is not {RULE}"
    return f"{PARAMETER} {shown!r} lets one only look: an id that begins with {OWNER_PREFIX} tracks"
