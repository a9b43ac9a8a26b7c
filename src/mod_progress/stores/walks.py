"""Answers the questions for listings: one thread walks over the entries of a store in slices.

What many ask for within a second is answered by one walk.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, InvalidStateError
from itertools import islice
from typing import NamedTuple

from mod_progress.fault_log import FaultLog
from mod_progress.fork import renew_after_fork
from mod_progress.stores.contract import StoreError
from mod_progress.stores.listing import Page, Query, Row, Selection
from mod_progress.stores.totals import Totals

__all__ = ["DEADLINE", "SLICE", "Walks"]

#: How many rows a slice has. To select from it takes less than a millisecond, and for that long the
#: requests may wait for the interpreter.
SLICE = 250

#: Seconds of rest after a slice.
REST = 0.0005

#: Seconds that a walk may take.
DEADLINE = 10.0

#: Seconds for which a page is given to whoever asks for the same, at least: a walk that took longer
#: is followed by a rest as long.
KEEP = 1.0

#: How many questions one walk answers, and how many pages are kept.
BATCH = 8
MOST_KEPT = 32

_TOO_LONG = f"to list its entries takes more than {DEADLINE:g} s"


class _Kept(NamedTuple):
    page: Page
    until: float


class Walks:
    """The walks over one store. Safe to share among threads.

    ``walk`` yields slices of up to `SLICE` rows; it may raise `StoreError`, and so may ``totals``,
    which returns the store's totals. The thread lives while there are questions.
    """

    def __init__(
        self,
        walk: Callable[[], Iterator[Sequence[Row]]],
        totals: Callable[[], Totals | None] = lambda: None,
    ) -> None:
        self._walk = walk
        self._totals = totals
        self._faults = FaultLog()
        self.after_fork()
        renew_after_fork(self)

    def after_fork(self) -> None:
        """Start without questions: those of the parent are not here."""
        self._lock = threading.Lock()
        self._asked: dict[Query, list[Future[Page]]] = {}
        #: The questions of the present walk, and when it began; 0 while there is none.
        self._current: dict[Query, list[Future[Page]]] = {}
        self._began = 0.0
        self._running = False
        self._kept: dict[Query, _Kept] = {}

    def page(self, query: Query) -> Future[Page]:
        """Return a future of the page, as `listing.Listing.page` has it."""
        future: Future[Page] = Future()
        future.set_running_or_notify_cancel()  # so that nobody can cancel it
        with self._lock:
            self._asked.setdefault(query, []).append(future)
            why = self._why_not()
            refused = self._take_all() if why else []
        for each in refused:
            self._settle(each, StoreError(why))
        return future

    def _why_not(self) -> str:
        """Return why nothing can be answered now, or an empty string; start the thread."""
        if self._began and time.monotonic() - self._began >= DEADLINE:
            return _TOO_LONG  # the walk is stuck
        if not self._running:
            try:
                threading.Thread(target=self._run, name="mod_progress listing", daemon=True).start()
            except RuntimeError:
                return "there can be no more threads"
            self._running = True
        return ""

    def _take_all(self) -> list[Future[Page]]:
        """Return all that wait, and forget them."""
        waiting = [*self._current.values(), *self._asked.values()]
        self._current, self._asked = {}, {}
        return [future for futures in waiting for future in futures]

    def _run(self) -> None:
        while True:
            with self._lock:
                self._began = 0.0
                taken = list(islice(self._asked, BATCH))
                self._current = {query: self._asked.pop(query) for query in taken}
                if not taken:
                    self._running = False
                    return
                self._began = time.monotonic()
            self._answer(dict(self._current))

    def _answer(self, asked: dict[Query, list[Future[Page]]]) -> None:
        """Answer questions, by what is kept or by a walk."""
        began = time.monotonic()
        self._kept = {query: kept for query, kept in self._kept.items() if kept.until > began}
        failure = StoreError("it cannot be listed")
        totals = None
        try:
            missing = [query for query in asked if query not in self._kept]
            pages = self._select(missing, began) if missing else []
            until = max(KEEP, time.monotonic() - began) + time.monotonic()
            self._kept.update(
                (query, _Kept(page, until)) for query, page in zip(missing, pages, strict=True)
            )
            # No kept ones: they would step back when another process was asked meanwhile.
            totals = self._read_totals()
        except StoreError as error:
            failure = error
        except Exception as error:
            self._faults.report("nothing is listed", error)
        for query, futures in asked.items():
            kept = self._kept.get(query)
            page = failure if kept is None else kept.page
            if isinstance(page, Page) and totals is not None:
                page = page._replace(totals=totals)
            for future in futures:
                self._settle(future, page)
        for query in list(self._kept)[:-MOST_KEPT]:
            del self._kept[query]

    def _select(self, queries: Sequence[Query], began: float) -> list[Page]:
        selections = [Selection(query, time.time()) for query in queries]
        for number, rows in enumerate(self._walk()):
            for selection in selections:
                if number:
                    time.sleep(REST)
                selection.add(rows)
            if time.monotonic() - began > DEADLINE:
                raise StoreError(_TOO_LONG)
        return [selection.page() for selection in selections]

    def _read_totals(self) -> Totals | None:
        try:
            return self._totals()
        except StoreError:  # where only this is not permitted, the entries are listed all the same
            return None

    def _settle(self, future: Future[Page], answer: Page | StoreError) -> None:
        try:
            if isinstance(answer, StoreError):
                future.set_exception(answer)
            else:
                future.set_result(answer)
        except InvalidStateError:
            pass  # it took too long, and was given up
        except BaseException as error:
            # The future runs the callbacks of whoever waits. Not all that they may raise is an
            # Exception: asyncio.CancelledError is none.
            self._faults.report("the callback of a listing failed", error)
