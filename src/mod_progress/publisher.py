"""The publisher: tells the store what this process's transfers do.

One daemon thread a process, started by the first tracked transfer and gone soon after the last.
Requests only hand it transfers; it takes the snapshots itself.
"""

from __future__ import annotations

import atexit
import logging
import sys
import threading
import time
from collections import OrderedDict
from contextlib import suppress
from functools import cache
from queue import Empty, SimpleQueue
from weakref import WeakSet

from mod_progress.fork import renew_after_fork
from mod_progress.stores.contract import (
    LEASE,
    PATIENCE,
    Store,
    StoreBusy,
    StoreError,
    Update,
    lapsed,
)
from mod_progress.table import LookupTable
from mod_progress.transfer import Snapshot, State, Transfer

logger = logging.getLogger("mod_progress")

#: As it was when the locks and queues of this module were chosen.
_SLEEP = time.sleep

#: Seconds from one look at the running transfers to the next: a show elsewhere must be at most
#: 0.25 behind.
TICK = 0.2

#: The part of a core that looking and publishing may take; a longer pause follows a dearer round.
#: 10,000 transfers must take less than 5%.
SHARE = 0.04

#: Up to so many running transfers, everything that changed is published with each tick: fewer to
#: a store far away, which many processes may share.
FEW = 1000
FEW_AFAR = 100

#: With more, what changed by this part of its size (a pixel of a bar of 200) ...
VISIBLE = 0.005

#: ... or what changed at all in so many seconds.
CALM = 1.0

#: Seconds after which a running entry's lease is renewed: two renewals may fail.
RENEW = LEASE / 3

#: Seconds for which starts and ends are gathered after a batch, so that many a second share one:
#: at the least, and at the most after a dear one. Each wake costs the requests more than the
#: thread's own work: the two contend for the interpreter.
GATHER = 0.01
GATHER_MANY = 0.05

#: Seconds between two attempts while the store is away.
RETRY = 1.0

#: Seconds for which the thread stays when there is nothing to do: to start one takes 0.1 ms.
LINGER = 5.0

#: Seconds that the end of the process waits for the last batch.
FAREWELL = 1.0


class _Tracked:
    """A transfer, and what of it the store knows."""

    __slots__ = ("ended", "moved", "published", "start", "told", "transfer")

    def __init__(self, transfer: Transfer, start: int) -> None:
        self.transfer = transfer
        self.start = start
        #: What was published last; None while nothing was.
        self.published: Snapshot | None = None
        #: When that was, in seconds, and the bytes that had moved by then.
        self.told = 0.0
        self.moved = 0
        #: When the end came to be known; 0 while it runs.
        self.ended = 0.0

    def changed(self, now: float, calm: float) -> Snapshot | None:
        """Return what is to be published, if enough is new or the lease must be renewed."""
        transfer = self.transfer
        age = now - self.told
        if age < calm:
            moved = transfer.received + transfer.written - self.moved
            size = (transfer.request_size or 0) + (transfer.response_size or 0)
            if moved < VISIBLE * size:
                return None
        snapshot = transfer.snapshot()
        return snapshot if age >= RENEW or snapshot != self.published else None

    def update(self, snapshot: Snapshot, ttl: float, now: float) -> Update:
        left = max(0.0, self.ended + ttl - now) if self.ended else ttl
        return Update(self.transfer.identifier, self.start, snapshot, left, self.published is None)

    def was_told(self, snapshot: Snapshot, now: float) -> None:
        self.published = snapshot
        self.told = now
        self.moved = snapshot.received + self.transfer.written


_Batch = list[tuple[_Tracked, Snapshot]]

#: Told where somebody else entered what the thread waits for: the end of what never began.
_ROUSE = (Transfer("", 0), 0)


class Publisher:
    """Publishes the transfers of ``table`` to ``store``."""

    def __init__(self, store: Store, table: LookupTable) -> None:
        self._store = store
        self._table = table
        self.after_fork()
        renew_after_fork(self)
        _publishers.add(self)

    def after_fork(self) -> None:
        """Know nothing: what the parent's transfers do, the parent publishes."""
        # Carries a transfer and its start, an end and 0, or None: the process ends. SimpleQueue,
        # since a garbage collection in mid-put may settle an abandoned transfer.
        self._news: SimpleQueue[tuple[Transfer, int] | None] = SimpleQueue()
        self._running: dict[str, _Tracked] = {}
        self._ended: OrderedDict[str, _Tracked] = OrderedDict()
        #: Starts and ends that were not published yet.
        self._fresh: dict[str, _Tracked] = {}
        #: Held by who enters what was told, or tells the store.
        self._working = threading.Lock()
        self._thread: threading.Thread | None = None
        self._starting = threading.RLock()
        self._finalizer: object = None
        self._closing = False
        self._away = False
        #: Whether the store may have lost what it was told.
        self._emptied = False
        self._next_look = 0.0
        self._gather_until = 0.0

    def started(self, transfer: Transfer) -> None:
        """Take note of a new transfer. Costs the caller a microsecond."""
        self._tell(transfer, time.monotonic_ns())

    def ended(self, transfer: Transfer) -> None:
        """Take note of the end of a transfer that `started` knows."""
        # One whose start is still news needs no more: its end is seen when that is entered.
        if transfer.identifier in self._running:
            self._tell(transfer, 0)

    def shown(self, transfer: Transfer) -> Snapshot:
        """Return what to tell of a transfer that runs here, or whose end the store is not told yet.

        Who asks this process now may ask another next, which must not know less. So where the
        store is near, it is told first; and while that would have to wait, the answer is what it
        was told before.
        """
        own = transfer.snapshot()
        if not self._store.near:
            return own
        tracked = self._find(transfer)
        if tracked is not None and tracked.published == own:
            return own
        if not self._working.acquire(blocking=False):
            return (tracked and tracked.published) or own
        try:
            now = time.monotonic()
            if not self._news.empty():
                self._absorb(now)
                self._news.put(_ROUSE)
            # Taken anew: it may have ended before its end was entered here.
            own, tracked = transfer.snapshot(), self._find(transfer)
            if tracked is not None and tracked.published != own and not self._away:
                try:
                    self._publish([(tracked, own)], now, patience=0.0)
                except StoreBusy:
                    return tracked.published or own
            return own
        finally:
            self._working.release()

    def _find(self, transfer: Transfer) -> _Tracked | None:
        identifier = transfer.identifier
        tracked = self._running.get(identifier) or self._ended.get(identifier)
        return tracked if tracked is not None and tracked.transfer is transfer else None

    def close(self) -> None:
        """Publish the last ends, and what still runs as cut; wait a second for it at most."""
        thread = self._thread
        if thread is not None:
            self._news.put(None)
            thread.join(FAREWELL)

    def _tell(self, transfer: Transfer, start: int) -> None:
        self._news.put((transfer, start))
        if self._thread is None:
            self._start()

    def _start(self) -> None:
        with self._starting:
            if self._thread is not None:
                return
            _warn_of_late_patching()
            thread = threading.Thread(target=self._run, name="mod_progress publisher", daemon=True)
            self._thread = thread
            try:
                thread.start()
            except RuntimeError:  # no more threads: the next transfer tries again
                self._thread = None
            # The children of multiprocessing leave without the interpreter's own exit functions.
            util = sys.modules.get("multiprocessing.util")
            if util is not None and self._finalizer is None:
                self._finalizer = util.Finalize(None, _close_all, exitpriority=0)

    def _run(self) -> None:
        while True:
            try:
                while self._round():
                    pass
            finally:
                self._thread = None
            # Whoever told something before that line saw a thread, and started none.
            with self._starting:
                if self._news.empty() or self._thread is not None:
                    return
                self._thread = threading.current_thread()

    def _round(self) -> bool:
        """Wait for something to do, and do it; False when there was nothing for long."""
        busy = bool(self._running or self._ended)
        told = self._wait(self._next_look if busy else time.monotonic() + LINGER)
        with self._working:
            now = time.monotonic()
            self._absorb(now)
            if self._closing:
                self._closing = False
                self._last_words(now)
                return False
            if now >= self._next_look:
                self._look(now)
            elif self._fresh and not self._away:
                # What has just begun has hardly sent anything: most of it is over before the first
                # look, and to ask the system about each costs more than all the rest.
                fresh = self._fresh.values()
                self._publish([(each, each.transfer.snapshot(sample=False)) for each in fresh], now)
            self._fresh.clear()
            if self._emptied and not self._away:
                self._repeat_ends()
        return busy or told

    def _wait(self, until: float) -> bool:
        """Let some gather after the last batch, then wait for the next; tell if anything came."""
        pause = self._gather_until - time.monotonic()
        if pause > 0:
            time.sleep(pause)
        try:
            item = self._news.get(timeout=max(0.0, until - time.monotonic()))
        except Empty:
            return False
        with self._working:
            self._enter(item, time.monotonic())
        return True

    def _absorb(self, now: float) -> None:
        """Enter what was told since."""
        with suppress(Empty):
            while True:
                self._enter(self._news.get_nowait(), now)
        while len(self._ended) > self._table.capacity:
            self._ended.popitem(last=False)[1].transfer.end_published = True

    def _enter(self, item: tuple[Transfer, int] | None, now: float) -> None:
        """Enter a start or an end, to be published with the next batch."""
        if item is None:
            self._closing = True
            return
        transfer, start = item
        identifier = transfer.identifier
        if start:
            self._ended.pop(identifier, None)
            tracked = self._running[identifier] = _Tracked(transfer, start)
        else:
            known = self._running.get(identifier)
            if known is None or known.transfer is not transfer:
                return  # entered already, or displaced just before it ended
            tracked = known
        # Looked at only now that `ended` finds it among the running ones.
        if transfer.state is not State.RUNNING:
            tracked.ended = now
            self._ended[identifier] = tracked
            del self._running[identifier]
        self._fresh[identifier] = tracked

    def _look(self, now: float) -> None:
        """Publish what is due, and choose when to look again."""
        spent = time.thread_time()
        few = FEW if self._store.near else FEW_AFAR
        calm = 0.0 if len(self._running) <= few else CALM
        batch: _Batch = [(tracked, tracked.transfer.snapshot()) for tracked in self._ended.values()]
        for tracked in self._running.values():
            snapshot = tracked.changed(now, calm)
            if snapshot is not None:
                batch.append((tracked, snapshot))
        if not batch or self._publish(batch, now):
            cost = time.thread_time() - spent
            self._next_look = now + min(max(TICK, cost / SHARE), RENEW)

    def _publish(self, batch: _Batch, now: float, patience: float = PATIENCE) -> bool:
        """Write a batch; tell whether the store took it. Raises `StoreBusy` if in a hurry."""
        ttl = self._table.ttl
        spent = time.thread_time()
        try:
            outcome = self._store.publish(
                [tracked.update(snapshot, ttl, now) for tracked, snapshot in batch], patience
            )
        except StoreError as error:
            if isinstance(error, StoreBusy) and patience < PATIENCE:
                raise
            self._away = True
            self._next_look = now + RETRY
            return False
        self._emptied |= self._away or outcome.emptied
        self._away = False
        for tracked, snapshot in batch:
            tracked.was_told(snapshot, now)
            if tracked.ended:
                tracked.transfer.end_published = True
                self._ended.pop(tracked.transfer.identifier, None)
        for identifier in outcome.displaced:
            lost = self._running.pop(identifier, None)
            if lost is not None:
                lost.transfer.end_published = True
                self._table.release(lost.transfer)
        cost = time.thread_time() - spent
        self._gather_until = now + min(max(GATHER, cost / SHARE), GATHER_MANY)
        return True

    def _repeat_ends(self) -> None:
        """Publish again what is finished: the store may have lost it."""
        # A start before all others displaces none.
        updates = [
            Update(each, 0, last, left, first=False) for each, last, left in self._table.finished()
        ]
        try:
            self._store.publish(updates)
        except StoreError:
            self._away = True
        else:
            self._emptied = False

    def _last_words(self, now: float) -> None:
        """Publish every end, and what still runs as cut: nobody will tell how it went on."""
        batch: _Batch = [(tracked, tracked.transfer.snapshot()) for tracked in self._ended.values()]
        for tracked in self._running.values():
            tracked.ended = now
            snapshot = tracked.transfer.snapshot()  # which may find that it is over
            runs = snapshot.state is State.RUNNING
            batch.append((tracked, lapsed(snapshot) if runs else snapshot))
        if batch and not self._away:
            self._publish(batch, now)
        self._running.clear()
        self._ended.clear()


@cache
def _warn_of_late_patching() -> None:
    """Say once what is wrong where gevent made threads out of what blocks them all."""
    if time.sleep is not _SLEEP:
        logger.warning(
            "gevent patched this process after mod_progress was imported, so that requests wait for"
            " the thread that publishes transfers: patch first"
        )


_publishers: WeakSet[Publisher] = WeakSet()


@atexit.register
def _close_all() -> None:
    for publisher in list(_publishers):
        publisher.close()
