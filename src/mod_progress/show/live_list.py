"""A list of transfers that is kept up to date for all who watch it.

It is asked for about once a second, however many watch it. What has changed is encoded once, and
the same bytes go to each watcher. An event ``list`` has all rows, an event ``changes`` those that
are new or have changed, by the members that did. A row has a number, by which later events name it.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import Future
from typing import NamedTuple, TypeVar

from mod_progress.fault_log import FaultLog
from mod_progress.show.rows import count_states, describe, describe_changes, describe_moment
from mod_progress.show.ticker import Ticker, Watcher
from mod_progress.stores.contract import StoreError
from mod_progress.stores.listing import Entry, Page, Query

__all__ = ["BEAT", "PACE", "LiveList", "Topic"]

_Item = TypeVar("_Item")

#: Seconds of rest after each answer. The store gives an answer to all who ask within a second.
PACE = 1.0

#: Seconds after which an event is sent even if nothing has changed, so that a page can tell a quiet
#: server from one that is gone.
BEAT = 5.0

#: Seconds after which it is asked again where no answer came. A store gives up after 10.
_PATIENCE = 15.0

#: How many events are kept for watchers that have missed some. Others are sent the whole list.
_KEPT = 4

#: How many rows are encoded before a rest, and its seconds: for that long the requests may wait for
#: the interpreter, as in `stores.walks`.
_SLICE = 250
_REST = 0.0005


class Topic(NamedTuple):
    """What a list is about: all who ask for the same share one."""

    query: Query
    #: Whether the ids are whole.
    whole_ids: bool
    #: Whether who watches it may cancel the transfers, which the list says.
    cancels: bool


class _Issue(NamedTuple):
    """The events that watchers are sent: those who have the one before, and the others."""

    number: int = 0
    #: The latest events, each of which brings the number before it to its own.
    changes: tuple[bytes, ...] = ()
    #: The whole list, where somebody wanted it.
    whole: bytes | None = None


class LiveList(Watcher):
    """Asks for a list, and wakes who watches it. The ticker wakes it when it is time to ask."""

    __slots__ = (
        "_asked",
        "_beat",
        "_counts",
        "_faults",
        "_issue",
        "_lock",
        "_next_number",
        "_rows",
        "_since",
        "_ticker",
        "_topic",
        "_wanted",
        "watchers",
    )

    def __init__(self, ticker: Ticker, topic: Topic) -> None:
        super().__init__()
        self._ticker = ticker
        self._topic = topic
        self._faults = FaultLog()
        #: Who is woken. The registry alone changes it.
        self.watchers: set[Watcher] = set()
        self._lock = threading.Lock()
        self._issue = _Issue()
        #: Whether somebody waits for the whole list.
        self._wanted = False
        #: The question that is not answered yet, and when it was asked.
        self._asked: Future[Page] | None = None
        self._since = 0.0
        #: The numbers and the entries of the rows, by the ids of their transfers.
        self._rows: dict[str, tuple[int, Entry]] = {}
        self._next_number = 1
        self._counts: Mapping[str, object] = {}
        #: When the next event is due, by the ticker's clock.
        self._beat = 0.0

    def wake(self) -> None:
        """Ask for the list."""
        self.due = False
        if self._ticker.ending:
            return
        self._since = self._ticker.clock()
        self.time = self._since + _PATIENCE
        asked = self._asked = self._ticker.tracker.page(self._topic.query)
        asked.add_done_callback(self._answered)

    def news_after(self, number: int) -> tuple[int, bytes]:
        """Return what brings a watcher from an event to the latest one, and the number of that.

        A watcher that has none, or has missed too many, is sent the whole list as soon as it is
        there.
        """
        issue = self._issue
        missed = issue.number - number
        if number and not missed:
            return number, b""
        if number and missed <= len(issue.changes):
            return issue.number, b"".join(issue.changes[-missed:])
        if issue.whole is not None:
            return issue.number, issue.whole
        self._want()
        return number, b""

    def _want(self) -> None:
        """Have the whole list made. It takes long, so no event loop does it."""
        with self._lock:
            self._wanted = True
            if self._asked is None:
                self.time = 0.0

    def _answered(self, asked: Future[Page]) -> None:
        if asked is not self._asked:
            return  # it took too long, and another was asked
        try:
            self._take_in(asked.result())
        except StoreError as error:
            self._say(f"the transfers cannot be listed: {error}")
        except Exception as error:
            self._faults.report("a list is not kept up to date", error)
            # Perhaps a part of it was taken in: all need the whole list.
            self._issue = _Issue(self._issue.number + 1)
        now = self._ticker.clock()
        with self._lock:
            self._asked = None
            # What takes long is asked for less often.
            self.time = now + max(PACE, now - self._since)

    def _take_in(self, page: Page) -> None:
        """Make the events of a page, and wake the watchers if there are any."""
        with self._lock:
            wanted, self._wanted = self._wanted, False
        issue, now = self._issue, self._ticker.clock()
        rows, gone = self._compare(page.entries)
        counts = {"total": page.total, "states": count_states(page)}
        changed = bool(rows or gone or counts != self._counts or now >= self._beat)
        self._counts = counts
        if changed:
            self._beat = now + BEAT
            # Nobody has anything before the first list, so nobody needs what changed since.
            changes = [_event("changes", self._head(), rows, gone)] if issue.number else []
            issue = _Issue(issue.number + 1, (*issue.changes, *changes)[-_KEPT:])
        if wanted and issue.whole is None:
            issue = issue._replace(whole=self._whole())
        self._issue = issue
        if changed or wanted:
            self._ticker.wake(tuple(self.watchers))

    def _compare(self, entries: Iterable[Entry]) -> tuple[list[tuple[int, object]], list[int]]:
        """Take in the entries; return the changes of rows, and the numbers of those that left."""
        whole_ids, before = self._topic.whole_ids, self._rows
        rows: dict[str, tuple[int, Entry]] = {}
        changed: list[tuple[int, object]] = []
        for entry in _with_rests(entries):
            known = before.get(entry.identifier)
            if known is None:
                number, changes = self._next_number, describe(entry, whole_ids)
                self._next_number += 1
            else:
                number, changes = known[0], describe_changes(entry, known[1], whole_ids)
            rows[entry.identifier] = number, entry
            if changes:
                changed.append((number, changes))
        self._rows = rows
        return changed, [number for each, (number, _) in before.items() if each not in rows]

    def _whole(self) -> bytes:
        rows = [
            (number, describe(entry, self._topic.whole_ids))
            for number, entry in _with_rests(self._rows.values())
        ]
        return _event("list", {**self._head(), "cancel": self._topic.cancels}, rows)

    def _head(self) -> dict[str, object]:
        return {"now": describe_moment(time.time()), **self._counts}

    def _say(self, problem: str) -> None:
        """Tell those who have the list why it stands still."""
        issue = self._issue
        said = _frame("trouble", _encode({"error": problem}))
        self._issue = _Issue(issue.number + 1, (*issue.changes, said)[-_KEPT:])
        self._ticker.wake(tuple(self.watchers))


_encode = json.JSONEncoder(separators=(",", ":")).encode


def _event(
    name: str,
    head: Mapping[str, object],
    rows: Iterable[tuple[int, object]],
    gone: Iterable[int] = (),
) -> bytes:
    """Return an event about rows. They are encoded one by one, so that others have a turn."""
    encoded = ",".join(f'"{number}":{_encode(row)}' for number, row in _with_rests(rows))
    members = _encode({**head, "gone": gone})[1:-1]
    return _frame(name, f'{{{members},"rows":{{{encoded}}}}}')


def _frame(name: str, data: str) -> bytes:
    return f"event: {name}\ndata: {data}\n\n".encode()


def _with_rests(items: Iterable[_Item]) -> Iterator[_Item]:
    """Yield the items, with a rest after each slice."""
    for place, item in enumerate(items, 1):
        yield item
        if place % _SLICE == 0:
            time.sleep(_REST)
