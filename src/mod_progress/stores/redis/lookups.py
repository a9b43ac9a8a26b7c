"""Gather the lookups of one tick into one round trip, and answer each within a second."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future, InvalidStateError
from contextlib import suppress
from queue import Empty, SimpleQueue

from mod_progress.fork import renew_after_fork
from mod_progress.stores.contract import StoreError
from mod_progress.stores.health import Health
from mod_progress.transfer import UNKNOWN, Snapshot

#: How many lookups one round trip takes.
BATCH = 2000

#: Seconds after which a lookup is answered with `UNKNOWN`, whatever the server does: a name that
#: does not resolve, an answer that trickles. The contract is one second.
DEADLINE = 0.9

#: Seconds from a failure to the next attempt, and which id that asks for. In between nobody waits.
RETRY = 1.0
PROBE = "probe"

_Question = tuple[str, Future[Snapshot]]


class Gatherer:
    """Answers lookups by ``fetch``, which returns a snapshot for each id or raises `StoreError`.

    One thread fetches: what is asked while it waits for an answer makes the next round trip.
    Another keeps the deadline.
    """

    def __init__(
        self, fetch: Callable[[Sequence[str]], Sequence[Snapshot]], health: Health
    ) -> None:
        self._fetch = fetch
        self._health = health
        self.after_fork()
        renew_after_fork(self)

    def after_fork(self) -> None:
        """Owe nothing, and have no threads."""
        self._asked: SimpleQueue[_Question | None] = SimpleQueue()
        self._promised: SimpleQueue[tuple[float, Future[Snapshot]] | None] = SimpleQueue()
        self._starting = threading.Lock()
        self._started = False
        self._away = False

    def lookup(self, identifier: str) -> Snapshot | Future[Snapshot]:
        """Return a future that is fulfilled within a second; `UNKNOWN` at once after a failure."""
        if self._away or not (self._started or self._start()):
            return UNKNOWN
        future: Future[Snapshot] = Future()
        future.set_running_or_notify_cancel()  # so that nobody can cancel it
        self._promised.put((time.monotonic() + DEADLINE, future))
        self._asked.put((identifier, future))
        return future

    def close(self) -> None:
        """Let the threads end, when nobody asks any more."""
        self._asked.put(None)
        self._promised.put(None)
        self.after_fork()

    def _start(self) -> bool:
        with self._starting:
            if not self._started:
                jobs = (self._answer, self._asked), (self._keep_promises, self._promised)
                try:
                    for job, queue in jobs:
                        threading.Thread(
                            target=job, args=(queue,), name="mod_progress lookups", daemon=True
                        ).start()
                except RuntimeError:  # no more threads: the next lookup tries again
                    return False
                self._started = True
        return True

    def _answer(self, asked: SimpleQueue[_Question | None]) -> None:
        while (question := self._next(asked)) is not None:
            batch = [question, *_drain(asked)]
            try:
                snapshots = self._fetch([identifier for identifier, _ in batch])
            except StoreError as error:
                self._failed(str(error))
                snapshots = [UNKNOWN] * len(batch)
            else:
                self._away = False
                self._health.worked("lookup")
            for (_, future), snapshot in zip(batch, snapshots, strict=True):
                _fulfil(future, snapshot)

    def _next(self, asked: SimpleQueue[_Question | None]) -> _Question | None:
        try:
            return asked.get(timeout=RETRY if self._away else None)
        except Empty:
            return PROBE, Future()

    def _keep_promises(self, promised: SimpleQueue[tuple[float, Future[Snapshot]] | None]) -> None:
        while (promise := promised.get()) is not None:
            deadline, future = promise
            time.sleep(max(0.0, deadline - time.monotonic()))
            if not future.done():
                self._failed(f"no answer within {DEADLINE} s")
                _fulfil(future, UNKNOWN)

    def _failed(self, why: str) -> None:
        self._away = True
        self._health.failed("lookup", why)


def _drain(asked: SimpleQueue[_Question | None]) -> list[_Question]:
    """Take what else was asked, up to a batch."""
    questions: list[_Question] = []
    with suppress(Empty):
        while len(questions) < BATCH:
            question = asked.get_nowait()
            if question is None:
                asked.put(None)  # for the loop outside
                break
            questions.append(question)
    return questions


def _fulfil(future: Future[Snapshot], snapshot: Snapshot) -> None:
    with suppress(InvalidStateError):  # the other thread may have been quicker
        future.set_result(snapshot)
