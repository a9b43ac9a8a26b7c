"""What is listed of a store's entries: the question, its page, and the selection of that page.

A store walks over its entries once a question. It holds no more of them than a page has, so what a
question costs is time, and no memory.
"""

from __future__ import annotations

import math
import struct
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections import Counter
from collections.abc import Iterable, Mapping
from concurrent.futures import Future
from enum import StrEnum
from typing import NamedTuple, Protocol, Self, runtime_checkable

from mod_progress.details import Details, decode
from mod_progress.stores.totals import Totals
from mod_progress.transfer import Direction, Snapshot, State

__all__ = [
    "DEFAULT_LIMIT",
    "MOST_LIMIT",
    "Cursor",
    "Entry",
    "Listing",
    "Page",
    "Query",
    "Row",
    "Selection",
    "Sort",
]

#: How many entries a page has by default, and at most.
DEFAULT_LIMIT = 100
MOST_LIMIT = 1000

#: How many entries of one key a cursor may stand behind.
_MOST_TIES = 10_000

_CURSOR = struct.Struct(">ddI")

#: The age in seconds of a transfer that has just begun, so that its rate is no accident.
_LEAST_AGE = 0.1


class Sort(StrEnum):
    """By what a listing is sorted, and what is first."""

    #: The newest.
    STARTED = "started"
    #: The fastest.
    RATE = "rate"
    #: The largest.
    SIZE = "size"
    #: Running ones, then failed ones, then those that are done.
    STATE = "state"


_STATE_ORDER = {State.RUNNING: 0.0, State.ERROR: 1.0, State.DONE: 2.0, State.UNKNOWN: 3.0}


class Cursor(NamedTuple):
    """A place between two entries. It names no entry, so it tells nobody an id.

    Entries that come or go before it or behind it do not move it.
    """

    #: What the entry before it is sorted by: the key of the sort, and of equal ones the start.
    key: float
    start: float
    #: How many entries with both of these are before it.
    ties: int

    def __str__(self) -> str:
        """Return the cursor as a text of letters, digits, ``-`` and ``_``."""
        return urlsafe_b64encode(_CURSOR.pack(*self)).rstrip(b"=").decode()

    @classmethod
    def parse(cls, text: str) -> Self | None:
        """Return the cursor that `str` made into ``text``; None where it is none."""
        try:
            cursor = cls(*_CURSOR.unpack(urlsafe_b64decode(text + "=" * (-len(text) % 4))))
        except (ValueError, struct.error):
            return None
        sane = not math.isnan(cursor.key) and not math.isnan(cursor.start)
        return cursor if sane and cursor.ties <= _MOST_TIES else None


class Query(NamedTuple):
    """What to list: entries that fit all of what is given."""

    state: State | None = None
    #: What the path begins with.
    path: str = ""
    #: The client's address.
    peer: str = ""
    #: Seconds since the start, at least.
    age: float = 0.0
    sort: Sort = Sort.STARTED
    #: Whether what the sort has first comes last.
    reverse: bool = False
    #: How many entries, up to `MOST_LIMIT`.
    limit: int = DEFAULT_LIMIT
    #: Where the page begins; None stands for the first entry.
    after: Cursor | None = None


class Entry(NamedTuple):
    """A transfer in a listing."""

    identifier: str
    snapshot: Snapshot
    details: Details
    #: Bytes a second since the start, of both bodies; None where the transfer is over. It compares
    #: the clock of the machine that lists with that of the machine that tracks.
    rate: float | None


class Page(NamedTuple):
    """The answer to a `Query`."""

    entries: tuple[Entry, ...]
    #: How many entries fit the query, in all pages.
    total: int
    #: How many entries of each state fit the query without its state.
    states: Mapping[State, int]
    #: Where the next page begins; None after the last one.
    after: Cursor | None
    #: How many of the running ones in ``states`` are uploads.
    uploads: int = 0
    #: What all transfers came to; None where the store does not keep that, or cannot tell.
    totals: Totals | None = None


#: An entry as a store has it: the id, the snapshot, and the record of the details.
Row = tuple[str, Snapshot, bytes]

#: A row behind what it is sorted by. Ids are unique, so that no two rows are compared.
_Candidate = tuple[float, float, str, Row]


@runtime_checkable
class Listing(Protocol):
    """A store that can list its entries."""

    def page(self, query: Query) -> Future[Page]:
        """Return a future of the page, which cannot be cancelled.

        It is as old as a second, or as the walk over all entries took. It fails with `StoreError`
        where the store cannot be read, or the walk takes too long.
        """


class Selection:
    """Selects the page of a query from the rows of a store, which come in any order.

    ``now`` is the time in seconds since 1970.
    """

    def __init__(self, query: Query, now: float) -> None:
        self._query = query
        self._now = now
        self._states: Counter[State] = Counter()
        self._uploads = 0
        self._candidates: list[_Candidate] = []
        # One more tells whether another page follows.
        self._room = query.limit + 1 + (query.after.ties if query.after else 0)
        #: The last of the best, once there are enough.
        self._worst: _Candidate | None = None

    def add(self, rows: Iterable[Row]) -> None:
        """Take in some rows."""
        query, after, worst = self._query, self._query.after, self._worst
        narrow = bool(query.path or query.peer or query.age)
        for row in rows:
            identifier, snapshot, record = row
            if narrow and not self._fits(snapshot, record):
                continue
            state = snapshot.state
            self._states[state] += 1
            if state is State.RUNNING and snapshot.direction is Direction.UPLOAD:
                self._uploads += 1
            if query.state is not None and state is not query.state:
                continue
            key, start = self._key(snapshot)
            if after is not None and (key, start) < after[:2]:
                continue
            candidate = key, start, identifier, row
            if worst is None or candidate < worst:
                self._candidates.append(candidate)
                if len(self._candidates) > 2 * self._room:
                    worst = self._keep_best()

    def page(self) -> Page:
        """Return the page of the rows that were taken in."""
        query = self._query
        self._keep_best()
        found = self._candidates
        if query.after is not None:
            equal = sum(candidate[:2] == query.after[:2] for candidate in found)
            found = found[min(query.after.ties, equal) :]
        shown = found[: query.limit]
        states = dict(self._states)
        total = sum(states.values()) if query.state is None else states.get(query.state, 0)
        entries = tuple(self._entry(*row) for *_, row in shown)
        after = self._cursor(shown) if len(found) > len(shown) else None
        return Page(entries, total, states, after, self._uploads)

    def _fits(self, snapshot: Snapshot, record: bytes) -> bool:
        query, details = self._query, decode(record)
        return (
            details.path.startswith(query.path)
            and (not query.peer or details.peer == query.peer)
            and (not query.age or self._now - _start(snapshot) >= query.age)
        )

    def _key(self, snapshot: Snapshot) -> tuple[float, float]:
        """Return what a row is sorted by, the smallest first."""
        sort = self._query.sort
        start = -_start(snapshot)
        if sort is Sort.STARTED:
            key = start
        elif sort is Sort.RATE:
            key = -(self._rate(snapshot) or 0.0)
        elif sort is Sort.SIZE:
            key = -float((snapshot.request_size or snapshot.received) + snapshot.response_size)
        else:
            key = _STATE_ORDER[snapshot.state]
        return (-key, -start) if self._query.reverse else (key, start)

    def _rate(self, snapshot: Snapshot) -> float | None:
        if snapshot.state is not State.RUNNING:
            return None
        return (snapshot.received + snapshot.sent) / max(self._now - _start(snapshot), _LEAST_AGE)

    def _keep_best(self) -> _Candidate | None:
        """Drop the candidates that are not on the page; return the last of the others."""
        self._candidates.sort()
        if len(self._candidates) >= self._room:
            del self._candidates[self._room :]
            self._worst = self._candidates[-1]
        return self._worst

    def _entry(self, identifier: str, snapshot: Snapshot, record: bytes) -> Entry:
        return Entry(identifier, snapshot, decode(record), self._rate(snapshot))

    def _cursor(self, shown: list[_Candidate]) -> Cursor:
        """Return the place behind the last entry of a page."""
        last, before = shown[-1][:2], self._query.after
        ties = sum(candidate[:2] == last for candidate in shown)
        if before is not None and before[:2] == last:
            ties += before.ties
        return Cursor(*last, min(ties, _MOST_TIES))


def _start(snapshot: Snapshot) -> float:
    """Return when a transfer started, in seconds since 1970."""
    return snapshot.started / 1e9
