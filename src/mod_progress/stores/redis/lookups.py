"""Gather the lookups of one tick into one round trip, and answer each within a second."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future, InvalidStateError
from contextlib import suppress
from itertools import islice
from operator import itemgetter
from queue import Empty, SimpleQueue
from typing import Any, NamedTuple, TypeVar

from mod_progress.fork import renew_after_fork
from mod_progress.stores.contract import StoreError
from mod_progress.stores.health import Health
from mod_progress.transfer import UNKNOWN, Snapshot

#: How many ids the lookups of one round trip may name together.
BATCH = 2000

#: Seconds after which a lookup is answered with `UNKNOWN`, whatever the server does: a name that
#: does not resolve, an answer that trickles. The contract is one second.
DEADLINE = 0.9

#: Seconds from a failure to the next attempt, and which id that asks for. In between nobody waits.
RETRY = 1.0
PROBE = "probe"

_Result = TypeVar("_Result")


class _Question(NamedTuple):
    """The ids of one lookup, and what takes their snapshots."""

    identifiers: Sequence[str]
    future: Future[Any]
    #: Makes the future's result of the snapshots.
    result: Callable[[list[Snapshot]], Any]

    def fulfil(self, snapshots: list[Snapshot]) -> None:
        with suppress(InvalidStateError):  # the other thread may have been quicker
            self.future.set_result(self.result(snapshots))

    def give_up(self) -> None:
        self.fulfil([UNKNOWN] * len(self.identifiers))


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
        self._promised: SimpleQueue[tuple[float, _Question] | None] = SimpleQueue()
        self._starting = threading.Lock()
        self._started = False
        self._away = False

    def lookup(self, identifier: str) -> Snapshot | Future[Snapshot]:
        """Return a future that is fulfilled within a second; `UNKNOWN` at once after a failure."""
        return self._ask((identifier,), itemgetter(0)) or UNKNOWN

    def lookup_many(self, identifiers: Sequence[str]) -> list[Snapshot] | Future[list[Snapshot]]:
        """Return a future of a snapshot for each id, as `lookup` does for one."""
        return self._ask(tuple(identifiers), list) or [UNKNOWN] * len(identifiers)

    def _ask(
        self, identifiers: tuple[str, ...], result: Callable[[list[Snapshot]], _Result]
    ) -> Future[_Result] | None:
        if self._away or not (self._started or self._start()):
            return None
        future: Future[_Result] = Future()
        future.set_running_or_notify_cancel()  # so that nobody can cancel it
        question = _Question(identifiers, future, result)
        self._promised.put((time.monotonic() + DEADLINE, question))
        self._asked.put(question)
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
            batch = _batch(question, asked)
            try:
                found = self._fetch([each for question in batch for each in question.identifiers])
            except StoreError as error:
                self._failed(str(error))
                for question in batch:
                    question.give_up()
            else:
                self._away = False
                self._health.worked("lookup")
                snapshots = iter(found)
                for question in batch:
                    question.fulfil(list(islice(snapshots, len(question.identifiers))))

    def _next(self, asked: SimpleQueue[_Question | None]) -> _Question | None:
        try:
            return asked.get(timeout=RETRY if self._away else None)
        except Empty:
            return _Question((PROBE,), Future(), list)

    def _keep_promises(self, promised: SimpleQueue[tuple[float, _Question] | None]) -> None:
        while (promise := promised.get()) is not None:
            deadline, question = promise
            time.sleep(max(0.0, deadline - time.monotonic()))
            if not question.future.done():
                self._failed(f"no answer within {DEADLINE} s")
                question.give_up()

    def _failed(self, why: str) -> None:
        self._away = True
        self._health.failed("lookup", why)


def _batch(first: _Question, asked: SimpleQueue[_Question | None]) -> list[_Question]:
    """Return the first question and what else was asked, up to `BATCH` ids."""
    questions = [first]
    identifiers = len(first.identifiers)
    with suppress(Empty):
        while identifiers < BATCH:
            question = asked.get_nowait()
            if question is None:
                asked.put(None)  # for the loop outside
                break
            questions.append(question)
            identifiers += len(question.identifiers)
    return questions
