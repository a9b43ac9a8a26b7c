"""Batch the lookups of all threads into one round trip, and answer each within a second."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, InvalidStateError
from contextlib import suppress
from functools import partial
from itertools import islice, repeat
from queue import Empty, SimpleQueue
from typing import Any

from mod_progress.fault_log import FaultLog
from mod_progress.fork import renew_after_fork
from mod_progress.stores.contract import StoreError
from mod_progress.stores.health import Health
from mod_progress.transfer import UNKNOWN, Snapshot

__all__ = ["LookupBatcher"]

#: How many ids the lookups of one round trip may name together.
BATCH = 2000

#: Seconds after which a lookup is answered with `UNKNOWN`, whatever the server does: its name may
#: not resolve, or its answer may trickle in. The contract is one second.
DEADLINE = 0.9

#: Seconds from a failure to the next attempt, and the id that the attempt looks up. Until it has
#: succeeded, every lookup is `UNKNOWN` at once.
RETRY = 1.0
PROBE = "probe"

#: Seconds that a thread pauses after an exception that nobody expected, so that one that repeats
#: does not take a core.
PAUSE = 0.05

#: What a caller looks up: one id, or several.
_Asked = str | tuple[str, ...]

#: A lookup, and the future that its caller waits for. A plain tuple: this is the way of every show
#: that another process answers for.
_Lookup = tuple[_Asked, Future[Any]]


class LookupBatcher:
    """Answers lookups by ``fetch``, which returns a snapshot for each id or raises `StoreError`.

    One thread fetches; all lookups that come during one round trip share the next one. Another
    thread answers those that reach their deadline. No exception ends either of them.
    """

    def __init__(
        self, fetch: Callable[[Sequence[str]], Sequence[Snapshot]], health: Health
    ) -> None:
        self._fetch = fetch
        self._health = health
        self._faults = FaultLog()
        self.after_fork()
        renew_after_fork(self)

    def after_fork(self) -> None:
        """Start without lookups and threads: those of the parent are not here."""
        self._lookups: SimpleQueue[_Lookup | None] = SimpleQueue()
        self._deadlines: SimpleQueue[tuple[float, _Lookup] | None] = SimpleQueue()
        #: What the threads are to do, as long as they are not started.
        self._threads: list[threading.Thread] = []
        self._steps = [partial(self._answer, self._lookups), partial(self._expire, self._deadlines)]
        self._starting = threading.Lock()
        self._away = False
        self._unstarted = False

    def lookup(self, identifier: str) -> Snapshot | Future[Snapshot]:
        """Return a future that is done within a second; `UNKNOWN` at once after a failure."""
        return self._ask(identifier) or UNKNOWN

    def lookup_many(self, identifiers: Sequence[str]) -> list[Snapshot] | Future[list[Snapshot]]:
        """Return a future of a snapshot for each id, as `lookup` does for one."""
        return self._ask(tuple(identifiers)) or [UNKNOWN] * len(identifiers)

    def troubles(self) -> list[str]:
        """Return in plain words what keeps lookups from being answered; nobody is asked."""
        alive = all(thread.is_alive() for thread in self._threads)
        if alive and not self._unstarted:
            return []
        return ["the threads that look transfers up do not run"]

    def close(self) -> None:
        """End the threads once they have answered what is in the queues."""
        self._lookups.put(None)
        self._deadlines.put(None)
        self.after_fork()

    def _ask(self, asked: _Asked) -> Future[Any] | None:
        if self._away or (self._steps and not self._start()):
            return None
        future: Future[Any] = Future()
        future.set_running_or_notify_cancel()  # so that nobody can cancel it
        lookup = asked, future
        self._deadlines.put((time.monotonic() + DEADLINE, lookup))
        self._lookups.put(lookup)
        return future

    def _start(self) -> bool:
        with self._starting:
            try:
                while self._steps:
                    step = self._steps[-1]
                    name = "mod_progress lookups"
                    thread = threading.Thread(
                        target=self._repeat, args=[step], name=name, daemon=True
                    )
                    thread.start()
                    self._threads.append(thread)
                    self._steps.pop()
            except RuntimeError:  # there can be no more threads: the next lookup tries again
                self._unstarted = True
                return False
            self._unstarted = False
        return True

    def _repeat(self, step: Callable[[], bool]) -> None:
        """Repeat a step until it returns False."""
        while True:
            try:
                if not step():
                    return
            except Exception as error:
                self._faults.report("lookups are answered with unknown", error)
                time.sleep(PAUSE)

    def _answer(self, lookups: SimpleQueue[_Lookup | None]) -> bool:
        """Wait for lookups, and answer them; return False after the last one."""
        lookup = self._next(lookups)
        if lookup is None:
            return False
        batch = _batch(lookup, lookups)
        try:
            found = self._fetch(_identifiers(batch))
        except Exception as error:
            if not isinstance(error, StoreError):
                self._faults.report("lookups are answered with unknown", error)
            self._failed(str(error) if isinstance(error, StoreError) else type(error).__name__)
            for lookup in batch:
                self._settle(lookup, repeat(UNKNOWN))
        else:
            self._away = False
            self._health.worked("lookup")
            snapshots = iter(found)
            for lookup in batch:
                self._settle(lookup, snapshots)
        return True

    def _settle(self, lookup: _Lookup, snapshots: Iterator[Snapshot]) -> None:
        """Answer a lookup with the next of the snapshots."""
        asked, future = lookup
        try:
            if isinstance(asked, str):
                future.set_result(next(snapshots))
            else:
                future.set_result(list(islice(snapshots, len(asked))))
        except InvalidStateError:
            pass  # the other thread was quicker
        except BaseException as error:
            # The future runs the callbacks of whoever waits. Not all that they may raise is an
            # Exception: asyncio.CancelledError is none.
            self._faults.report("a lookup's callback failed", error)

    def _next(self, lookups: SimpleQueue[_Lookup | None]) -> _Lookup | None:
        try:
            return lookups.get(timeout=RETRY if self._away else None)
        except Empty:
            return PROBE, Future()

    def _expire(self, deadlines: SimpleQueue[tuple[float, _Lookup] | None]) -> bool:
        """Wait for the next deadline, and answer its lookup if nobody has; False after the last."""
        item = deadlines.get()
        if item is None:
            return False
        deadline, lookup = item
        time.sleep(max(0.0, deadline - time.monotonic()))
        if not lookup[1].done():
            try:
                self._failed(f"no answer within {DEADLINE} s")
            finally:
                self._settle(lookup, repeat(UNKNOWN))
        return True

    def _failed(self, why: str) -> None:
        self._away = True
        self._health.failed("lookup", why)


def _batch(first: _Lookup, lookups: SimpleQueue[_Lookup | None]) -> list[_Lookup]:
    """Return the first lookup and those that wait behind it, up to `BATCH` ids."""
    batch = [first]
    size = _size(first)
    with suppress(Empty):
        while size < BATCH:
            lookup = lookups.get_nowait()
            if lookup is None:
                lookups.put(None)  # so that the loop of the caller ends too
                break
            batch.append(lookup)
            size += _size(lookup)
    return batch


def _size(lookup: _Lookup) -> int:
    asked, _ = lookup
    return 1 if isinstance(asked, str) else len(asked)


def _identifiers(batch: Sequence[_Lookup]) -> list[str]:
    identifiers: list[str] = []
    for asked, _ in batch:
        if isinstance(asked, str):
            identifiers.append(asked)
        else:
            identifiers += asked
    return identifiers
