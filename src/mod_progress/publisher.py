"""The publisher writes to the store what the transfers of this process do.

It is one daemon thread a process. The first tracked transfer starts it, and it ends soon after the
last one. Requests only hand over their transfers; the thread takes the snapshots.

No exception ends the thread. A transfer that cannot be published is dropped: other processes do not
know it, this one shows it all the same, and the other transfers are published.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from queue import Empty, SimpleQueue

from mod_progress.fault_log import FaultLog
from mod_progress.fork import renew_after_fork
from mod_progress.patching import warn_of_late_patching
from mod_progress.process_end import close_at_end, notice_end
from mod_progress.publication import (
    RENEWAL,
    Publication,
    Publications,
    begun,
    update_again,
    write,
)
from mod_progress.stores.cancelling import Cancelling
from mod_progress.stores.contract import LEASE, WRITE_TIMEOUT, Store, StoreBusy, StoreError, lapsed
from mod_progress.table import LookupTable
from mod_progress.tally import Tally
from mod_progress.transfer import Snapshot, State, Transfer

__all__ = ["Publisher"]

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

#: Seconds that a look at many transfers waits for other writers: it comes a few times a second.
SHOW_TIMEOUT = 0.05

#: Seconds that a look at a transfer waits that was never published: it comes once or twice.
FIRST_TIMEOUT = 0.25

_Batch = list[tuple[Publication, Snapshot]]

#: A sentinel that wakes the thread: something else has entered the events that it waits for.
_WAKE = (Transfer("", 0), 0)


class Publisher:
    """Publishes the transfers of ``table`` to ``store``. Safe to share among threads."""

    def __init__(self, store: Store, table: LookupTable) -> None:
        self._store = store
        self._table = table
        self._faults = FaultLog()
        #: The store, where it can carry requests to cancel.
        self._cancelling = store if isinstance(store, Cancelling) else None
        self.after_fork()
        renew_after_fork(self)
        close_at_end(self)

    def after_fork(self) -> None:
        """Start without transfers: the parent publishes its own."""
        # A start is the transfer and its time, an end is the transfer and 0, None closes. It is a
        # SimpleQueue since a garbage collection amid ``put`` may settle an abandoned transfer.
        self._events: SimpleQueue[tuple[Transfer, int] | None] = SimpleQueue()
        self._publications = Publications()
        self._tally = Tally(self._store)
        #: Held while events are entered or the store is written.
        self._working = threading.Lock()
        self._thread: threading.Thread | None = None
        self._starting = threading.RLock()
        self._closing = False
        self._away = False
        #: Since when the thread cannot be started, and something waits to be published; 0: never.
        self._unstarted = 0.0
        self._late_since = 0.0
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
        if transfer.identifier in self._publications.running:
            self._enqueue(transfer, 0)

    def shown(self, transfer: Transfer) -> Snapshot:
        """Return what to show of a transfer that runs here, or whose end is not published yet.

        Whoever asks this process now may ask another one next, and must not be told less there.
        So if the store is near, the snapshot is published first. If that would have to wait, the
        answer is what was published last; if that is nothing, it waits a moment. Never raises.
        """
        try:
            own = transfer.snapshot()
            publication = self._publications.find(transfer)
            if not self._store.near or (publication and publication.snapshot == own):
                return own
            known = publication and publication.snapshot
            return self._publish_and_show([transfer], 0.0 if known else FIRST_TIMEOUT)[0]
        except Exception as error:
            self._faults.report("a transfer is shown without asking the system", error)
            return transfer.snapshot(sample=False)

    def shown_many(self, transfers: Sequence[Transfer]) -> list[Snapshot]:
        """Return what to show of each, as `shown` does; all that moved is published in one batch.

        It may wait a moment for other writers.
        """
        try:
            if not self._store.near:
                return [transfer.snapshot() for transfer in transfers]
            return self._publish_and_show(transfers, SHOW_TIMEOUT)
        except Exception as error:
            self._faults.report("a transfer is shown without asking the system", error)
            return [transfer.snapshot(sample=False) for transfer in transfers]

    def _publish_and_show(self, transfers: Sequence[Transfer], timeout: float) -> list[Snapshot]:
        working = self._working.acquire(timeout=timeout)
        try:
            now = time.monotonic()
            if working and not self._events.empty():
                self._enter_all(now)
                self._events.put(_WAKE)
            # Only now, since a transfer may have ended before its end was entered here.
            shown = [(self._publications.find(each), each.snapshot()) for each in transfers]
            batch = [(known, own) for known, own in shown if known and known.snapshot != own]
            if batch and working and not self._away:
                with suppress(StoreBusy):
                    self._publish(batch, now, timeout)
                    return [own for _, own in shown]
            if not batch or self._away:
                return [own for _, own in shown]
            return [(known and known.snapshot) or begun(own) for known, own in shown]
        finally:
            if working:
                self._working.release()

    def close(self) -> None:
        """Publish the last ends, and what still runs as cut; wait a second for that at most."""
        thread = self._thread
        if thread is not None:
            self._events.put(None)
            thread.join(CLOSE_TIMEOUT)

    def lag(self) -> float:
        """Return for how many seconds something has waited to be published; 0 if nothing has."""
        waits = self._publications.running or self._publications.ended
        since = self._unstarted or (waits and (self._late_since or self._next_look))
        return max(0.0, time.monotonic() - since) if since else 0.0

    def troubles(self) -> list[str]:
        """Return in plain words what keeps transfers from being published; nobody is asked."""
        with self._starting:
            if self._unstarted:
                self._start()  # where no new transfer comes, nobody else does
            thread = self._thread
            if self._unstarted or not (thread is None or thread.is_alive()):
                return ["the thread that publishes transfers does not run"]
        late = self.lag()
        if self._away and late:
            return ["transfers cannot be written to the store"]
        return [f"transfers are published {late:.0f} seconds late"] if late > LEASE else []

    def _enqueue(self, transfer: Transfer, start: int) -> None:
        self._events.put((transfer, start))
        if self._thread is None:
            self._start()

    def _start(self) -> None:
        with self._starting:
            if self._thread is not None:
                return
            warn_of_late_patching()
            notice_end()
            thread = threading.Thread(target=self._run, name="mod_progress publisher", daemon=True)
            self._thread = thread
            try:
                thread.start()
                self._unstarted = 0.0
            except RuntimeError:  # there can be no more threads: the next transfer tries again
                self._thread = None
                self._unstarted = self._unstarted or time.monotonic()

    def _run(self) -> None:
        while True:
            try:
                while self._try_round():
                    pass
            finally:
                self._thread = None
            # An event that came before that line saw a thread, and started none.
            with self._starting:
                if self._events.empty() or self._thread is not None:
                    return
                self._thread = threading.current_thread()

    def _try_round(self) -> bool:
        try:
            return self._round()
        except Exception as error:
            self._faults.report("transfers are published late", error)
            # Those that are new are among the running or ended ones too, which the next look finds.
            self._publications.fresh.clear()
            time.sleep(TICK)
            return True

    def _round(self) -> bool:
        """Wait for something to do, and do it; return False to end the thread."""
        publications = self._publications
        busy = bool(publications.running or publications.ended or self._tally.waits)
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
            elif publications.fresh and not self._away:
                # A transfer that has just begun has hardly sent anything, and most are over before
                # the first look. To ask the system about each would cost more than all the rest.
                self._publish(self._snapshots(publications.fresh, sample=False), now)
            publications.fresh.clear()
            self._late_since = (self._late_since or now) if self._away else 0.0
            if not (self._away and (publications.running or publications.ended)):
                self._tally.add(now)
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
        self._publications.limit_ended(self._table.capacity)

    def _enter(self, event: tuple[Transfer, int] | None, now: float) -> None:
        self._late_since = self._late_since or now
        if event is None:
            self._closing = True
        else:
            self._publications.enter(*event, now)

    def _look(self, now: float) -> None:
        """Publish what is due, and set the time of the next look."""
        if self._cancelling is not None and not self._away:
            self._publications.cancel(self._cancelling, self._faults)
        spent = time.thread_time()
        few = FEW if self._store.near else FEW_REMOTE
        running = self._publications.running
        calm = 0.0 if len(running) <= few else CALM
        batch = self._snapshots(self._publications.ended)
        for publication in list(running.values()):
            try:
                snapshot = publication.due(now, calm)
            except Exception as error:
                self._drop(publication, error)
                continue
            if snapshot is not None:
                batch.append((publication, snapshot))
        if not batch or self._publish(batch, now):
            cost = time.thread_time() - spent
            self._next_look = now + min(max(TICK, cost / SHARE), RENEWAL)

    def _snapshots(self, publications: dict[str, Publication], sample: bool = True) -> _Batch:
        batch: _Batch = []
        for publication in list(publications.values()):
            try:
                batch.append((publication, publication.transfer.snapshot(sample)))
            except Exception as error:
                self._drop(publication, error)
        return batch

    def _publish(self, batch: _Batch, now: float, timeout: float = WRITE_TIMEOUT) -> bool:
        """Write a batch; return whether the store took it.

        Raises `StoreBusy` if ``timeout`` is shorter than the usual one.
        """
        ttl = self._table.ttl
        spent = time.thread_time()
        updates = [publication.update(snapshot, ttl, now) for publication, snapshot in batch]
        try:
            result, refused = write(self._store, updates, timeout)
        except StoreError as error:
            if isinstance(error, StoreBusy) and timeout < WRITE_TIMEOUT:
                raise
            self._away = True
            self._next_look = now + RETRY
            return False
        self._emptied |= self._away or result.emptied
        self._away = False
        for publication, snapshot in batch:
            if refused and (why := refused.get(publication.transfer.identifier)):
                self._drop(publication, why)
                continue
            self._tally.count(publication, snapshot, ttl)
            publication.published(snapshot, now)
            if publication.ended_at:
                publication.transfer.end_published = True
                self._publications.ended.pop(publication.transfer.identifier, None)
        for identifier in result.displaced:
            loser = self._publications.running.pop(identifier, None)
            if loser is not None:
                loser.transfer.end_published = True
                self._table.release(loser.transfer)
        cost = time.thread_time() - spent
        self._collect_until = now + min(max(COLLECT, cost / SHARE), COLLECT_MOST)
        return True

    def _drop(self, publication: Publication, error: Exception) -> None:
        """Publish no more of a transfer."""
        self._faults.report("a transfer is not published", error)
        self._publications.drop(publication)

    def _republish_finished(self) -> None:
        """Publish again what is finished: the store may have lost it."""
        updates = [update_again(transfer, left) for transfer, left in self._table.finished()]
        try:
            _, refused = write(self._store, updates, WRITE_TIMEOUT)
        except StoreError:
            self._away = True
            return
        self._emptied = False
        for error in refused.values():
            self._faults.report("a transfer is not published", error)

    def _publish_last(self, now: float) -> None:
        """Publish every end, and what still runs as cut: nobody will publish how it goes on."""
        batch = self._snapshots(self._publications.ended)
        for publication, snapshot in self._snapshots(self._publications.running):
            publication.ended_at = now
            runs = snapshot.state is State.RUNNING  # the snapshot may have found it over
            batch.append((publication, lapsed(snapshot) if runs else snapshot))
        if batch and not self._away:
            self._publish(batch, now)
        self._tally.add(now, last=True)
        self._publications = Publications()
