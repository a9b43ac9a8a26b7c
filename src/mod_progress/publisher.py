"""The publisher writes to the store what the transfers of this process do.

It is one daemon thread a process. The first tracked transfer starts it, and it ends soon after the
last one. Requests only hand over their transfers; the thread takes the snapshots.
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
from mod_progress.publication import RENEWAL, Publication
from mod_progress.stores.contract import (
    WRITE_TIMEOUT,
    Store,
    StoreBusy,
    StoreError,
    Update,
    lapsed,
)
from mod_progress.table import LookupTable
from mod_progress.transfer import Snapshot, State, Transfer

__all__ = ["Publisher"]

logger = logging.getLogger("mod_progress")

#: ``time.sleep`` as it was when this module chose its locks and queues.
_SLEEP = time.sleep

#: Seconds between two looks at the running transfers: a show elsewhere may be 0.25 behind at most.
TICK = 0.2

#: The part of a core that the thread may use: the more a look or a batch costs, the longer the
#: pause after it. 10,000 transfers must take less than 5%.
SHARE = 0.04

#: Up to this many running transfers, each look publishes everything that changed. The number is
#: smaller for a store that is not near, since many processes may share it.
FEW = 1000
FEW_REMOTE = 100

#: With more transfers, an invisible change is published after this many seconds.
CALM = 1.0

#: Seconds after a batch for which starts and ends are collected, so that many of them share the
#: next batch: at least, and at most after an expensive batch. Each time the thread wakes, it
#: contends with the requests for the interpreter, which costs them more than its own work.
COLLECT = 0.01
COLLECT_MOST = 0.05

#: Seconds between two attempts while the store fails.
RETRY = 1.0

#: Seconds for which the thread waits for something to do before it ends: to start one takes 0.1 ms.
IDLE = 5.0

#: Seconds that `Publisher.close` waits for the last batch.
CLOSE_TIMEOUT = 1.0

_Batch = list[tuple[Publication, Snapshot]]

#: A sentinel that wakes the thread: something else has entered the events that it waits for.
_WAKE = (Transfer("", 0), 0)


class Publisher:
    """Publishes the transfers of ``table`` to ``store``. Safe to share among threads."""

    def __init__(self, store: Store, table: LookupTable) -> None:
        self._store = store
        self._table = table
        self.after_fork()
        renew_after_fork(self)
        _publishers.add(self)

    def after_fork(self) -> None:
        """Start without transfers: the parent publishes its own."""
        # A start is the transfer and its time, an end is the transfer and 0, None closes. It is a
        # SimpleQueue since a garbage collection amid ``put`` may settle an abandoned transfer.
        self._events: SimpleQueue[tuple[Transfer, int] | None] = SimpleQueue()
        self._running: dict[str, Publication] = {}
        self._ended: OrderedDict[str, Publication] = OrderedDict()
        #: Starts and ends that were entered and not published yet.
        self._fresh: dict[str, Publication] = {}
        #: Held while events are entered or the store is written.
        self._working = threading.Lock()
        self._thread: threading.Thread | None = None
        self._starting = threading.RLock()
        self._finalizer: object = None
        self._closing = False
        self._away = False
        #: Whether the store may have lost what was published.
        self._emptied = False
        self._next_look = 0.0
        self._collect_until = 0.0

    def started(self, transfer: Transfer) -> None:
        """Take note of a new transfer. Costs the caller a microsecond."""
        self._enqueue(transfer, time.monotonic_ns())

    def ended(self, transfer: Transfer) -> None:
        """Take note of the end of a transfer that was given to `started`."""
        # If the start is still in the queue, the thread finds the end when it enters the start.
        if transfer.identifier in self._running:
            self._enqueue(transfer, 0)

    def shown(self, transfer: Transfer) -> Snapshot:
        """Return what to show of a transfer that runs here, or whose end is not published yet.

        Whoever asks this process now may ask another one next, and must not be told less there.
        So if the store is near, the snapshot is published first. If that would have to wait, the
        answer is what was published last.
        """
        own = transfer.snapshot()
        if not self._store.near:
            return own
        publication = self._find(transfer)
        if publication is not None and publication.snapshot == own:
            return own
        if not self._working.acquire(blocking=False):
            return (publication and publication.snapshot) or own
        try:
            now = time.monotonic()
            if not self._events.empty():
                self._enter_all(now)
                self._events.put(_WAKE)
            # Both again, since the transfer may have ended before its end was entered here.
            own, publication = transfer.snapshot(), self._find(transfer)
            if publication is not None and publication.snapshot != own and not self._away:
                try:
                    self._publish([(publication, own)], now, timeout=0.0)
                except StoreBusy:
                    return publication.snapshot or own
            return own
        finally:
            self._working.release()

    def close(self) -> None:
        """Publish the last ends, and what still runs as cut; wait a second for that at most."""
        thread = self._thread
        if thread is not None:
            self._events.put(None)
            thread.join(CLOSE_TIMEOUT)

    def _find(self, transfer: Transfer) -> Publication | None:
        identifier = transfer.identifier
        found = self._running.get(identifier) or self._ended.get(identifier)
        return found if found is not None and found.transfer is transfer else None

    def _enqueue(self, transfer: Transfer, start: int) -> None:
        self._events.put((transfer, start))
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
            except RuntimeError:  # there can be no more threads: the next transfer tries again
                self._thread = None
            # A child of multiprocessing ends without running the interpreter's exit functions.
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
            # An event that came before that line saw a thread, and started none.
            with self._starting:
                if self._events.empty() or self._thread is not None:
                    return
                self._thread = threading.current_thread()

    def _round(self) -> bool:
        """Wait for something to do, and do it; return False to end the thread."""
        busy = bool(self._running or self._ended)
        woken = self._wait(self._next_look if busy else time.monotonic() + IDLE)
        with self._working:
            now = time.monotonic()
            self._enter_all(now)
            if self._closing:
                self._closing = False
                self._publish_last(now)
                return False
            if now >= self._next_look:
                self._look(now)
            elif self._fresh and not self._away:
                # A transfer that has just begun has hardly sent anything, and most are over before
                # the first look. To ask the system about each would cost more than all the rest.
                fresh = self._fresh.values()
                self._publish([(each, each.transfer.snapshot(sample=False)) for each in fresh], now)
            self._fresh.clear()
            if self._emptied and not self._away:
                self._republish_finished()
        return busy or woken

    def _wait(self, until: float) -> bool:
        """Let events collect after the last batch, then wait for one; return whether one came."""
        pause = self._collect_until - time.monotonic()
        if pause > 0:
            time.sleep(pause)
        try:
            event = self._events.get(timeout=max(0.0, until - time.monotonic()))
        except Empty:
            return False
        with self._working:
            self._enter(event, time.monotonic())
        return True

    def _enter_all(self, now: float) -> None:
        """Enter all events that are in the queue."""
        with suppress(Empty):
            while True:
                self._enter(self._events.get_nowait(), now)
        while len(self._ended) > self._table.capacity:
            self._ended.popitem(last=False)[1].transfer.end_published = True

    def _enter(self, event: tuple[Transfer, int] | None, now: float) -> None:
        """Enter a start or an end, which the next batch publishes."""
        if event is None:
            self._closing = True
            return
        transfer, start = event
        identifier = transfer.identifier
        if start:
            self._ended.pop(identifier, None)
            publication = self._running[identifier] = Publication(transfer, start)
        else:
            known = self._running.get(identifier)
            if known is None or known.transfer is not transfer:
                return  # its end was entered before, or it was displaced just before it ended
            publication = known
        # Checked only now: from here on, `ended` finds it among the running ones.
        if transfer.state is not State.RUNNING:
            publication.ended_at = now
            self._ended[identifier] = publication
            del self._running[identifier]
        self._fresh[identifier] = publication

    def _look(self, now: float) -> None:
        """Publish what is due, and set the time of the next look."""
        spent = time.thread_time()
        few = FEW if self._store.near else FEW_REMOTE
        calm = 0.0 if len(self._running) <= few else CALM
        batch: _Batch = [(each, each.transfer.snapshot()) for each in self._ended.values()]
        for publication in self._running.values():
            snapshot = publication.due(now, calm)
            if snapshot is not None:
                batch.append((publication, snapshot))
        if not batch or self._publish(batch, now):
            cost = time.thread_time() - spent
            self._next_look = now + min(max(TICK, cost / SHARE), RENEWAL)

    def _publish(self, batch: _Batch, now: float, timeout: float = WRITE_TIMEOUT) -> bool:
        """Write a batch; return whether the store took it.

        Raises `StoreBusy` if ``timeout`` is shorter than the usual one.
        """
        ttl = self._table.ttl
        spent = time.thread_time()
        try:
            result = self._store.publish(
                [publication.update(snapshot, ttl, now) for publication, snapshot in batch], timeout
            )
        except StoreError as error:
            if isinstance(error, StoreBusy) and timeout < WRITE_TIMEOUT:
                raise
            self._away = True
            self._next_look = now + RETRY
            return False
        self._emptied |= self._away or result.emptied
        self._away = False
        for publication, snapshot in batch:
            publication.published(snapshot, now)
            if publication.ended_at:
                publication.transfer.end_published = True
                self._ended.pop(publication.transfer.identifier, None)
        for identifier in result.displaced:
            loser = self._running.pop(identifier, None)
            if loser is not None:
                loser.transfer.end_published = True
                self._table.release(loser.transfer)
        cost = time.thread_time() - spent
        self._collect_until = now + min(max(COLLECT, cost / SHARE), COLLECT_MOST)
        return True

    def _republish_finished(self) -> None:
        """Publish again what is finished: the store may have lost it."""
        # With a start before all others, an update displaces no transfer.
        updates = [
            Update(identifier, 0, snapshot, left, first=False)
            for identifier, snapshot, left in self._table.finished()
        ]
        try:
            self._store.publish(updates)
        except StoreError:
            self._away = True
        else:
            self._emptied = False

    def _publish_last(self, now: float) -> None:
        """Publish every end, and what still runs as cut: nobody will publish how it goes on."""
        batch: _Batch = [(each, each.transfer.snapshot()) for each in self._ended.values()]
        for publication in self._running.values():
            publication.ended_at = now
            snapshot = publication.transfer.snapshot()  # which may find that the transfer is over
            runs = snapshot.state is State.RUNNING
            batch.append((publication, lapsed(snapshot) if runs else snapshot))
        if batch and not self._away:
            self._publish(batch, now)
        self._running.clear()
        self._ended.clear()


@cache
def _warn_of_late_patching() -> None:
    """Warn once if gevent replaced ``time.sleep`` too late.

    The locks and queues of this module then block all of gevent's greenlets.
    """
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
