"""Tells the app of each transfer that has ended: the parameter ``on_end`` of the middlewares.

A thread of its own calls the app, so that no request waits for it. The first end starts the thread,
and it ends soon after the last one.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from queue import Empty, SimpleQueue
from typing import NamedTuple

from mod_progress.fault_log import FaultLog
from mod_progress.fork import renew_after_fork
from mod_progress.process_end import close_at_end, notice_end
from mod_progress.table import LookupTable
from mod_progress.tracker import logger
from mod_progress.transfer import State, Transfer

__all__ = ["EndNotifier", "FinishedTransfer"]

#: Ends that wait for the callable at most. Each takes about half a kilobyte.
MOST_WAITING = 10_000

#: Seconds for which the thread waits for an end before it goes: to start one takes 0.1 ms.
IDLE = 5.0

#: Seconds that `EndNotifier.close` waits for the callable.
CLOSE_TIMEOUT = 1.0


class FinishedTransfer(NamedTuple):
    """A transfer that has ended. Sizes are bytes of bodies."""

    #: The id; of one that was sent as ``own~SECRET`` its shared form, ``see~HASH``.
    identifier: str
    method: str
    #: The request's path, without the query.
    path: str
    #: The client's address, as the server reports it; empty where it does not.
    peer: str
    #: How long it took, from the request's head on, by the clock of the machine.
    seconds: float
    #: `State.DONE` or `State.ERROR`.
    state: State
    #: The response's status; 0 where none was sent.
    status: int
    received: int
    sent: int
    #: None where nobody knows it.
    request_size: int | None
    response_size: int


class EndNotifier:
    """Calls ``tell`` with each transfer of a table that ends."""

    def __init__(self, tell: Callable[[FinishedTransfer], object]) -> None:
        self._tell = tell
        self._faults = FaultLog()
        self._before: Callable[[Transfer], None] | None = None
        self.after_fork()
        renew_after_fork(self)
        close_at_end(self)

    def after_fork(self) -> None:
        """Start anew: the parent tells of its own transfers."""
        # None closes. It is a SimpleQueue since a garbage collection amid ``put`` may end an
        # abandoned transfer.
        self._waiting: SimpleQueue[Transfer | None] = SimpleQueue()
        self._thread: threading.Thread | None = None
        self._starting = threading.RLock()
        #: Whether ends were dropped since the last time that none waited.
        self._full = False

    def follow(self, table: LookupTable) -> None:
        """Tell of the transfers of this table. Who was told of their ends before still is."""
        self._before = table.on_end
        table.on_end = self.ended

    def ended(self, transfer: Transfer) -> None:
        """Take note of an end. Costs the caller a microsecond, and never waits."""
        try:
            if self._before is not None:
                self._before(transfer)
        finally:
            if self._waiting.qsize() < MOST_WAITING:
                self._waiting.put(transfer)
            else:
                self._warn_that_it_is_slow()
            if self._thread is None:
                self._start()

    def close(self) -> None:
        """Hand over what waits, for a second at most."""
        thread = self._thread
        if thread is not None and thread is not threading.current_thread():
            self._waiting.put(None)
            thread.join(CLOSE_TIMEOUT)

    def _warn_that_it_is_slow(self) -> None:
        """Warn once, until none waits any more, that transfers are left out."""
        if not self._full:
            self._full = True
            logger.warning(
                "the callable given as on_end is too slow: %d ends wait for it, and it is not told"
                " of others",
                MOST_WAITING,
            )

    def _start(self) -> None:
        with self._starting:
            if self._thread is not None:
                return
            notice_end()
            thread = threading.Thread(target=self._run, name="mod_progress on_end", daemon=True)
            self._thread = thread
            try:
                thread.start()
            except RuntimeError:  # there can be no more threads: the next end tries again
                self._thread = None

    def _run(self) -> None:
        while True:
            try:
                while self._tell_next():
                    pass
            finally:
                self._thread = None
            # An end that came before that line saw a thread, and started none.
            with self._starting:
                if self._waiting.empty() or self._thread is not None:
                    return
                self._thread = threading.current_thread()

    def _tell_next(self) -> bool:
        """Wait for an end, and tell of it; return False where the thread is to end."""
        try:
            ended = self._waiting.get(timeout=IDLE)
        except Empty:
            return False
        if ended is None:
            return False
        try:
            self._tell(_describe(ended))
        except BaseException as error:  # one that ends a process ends this thread neither
            self._faults.report("the callable given as on_end failed", error)
        self._full = self._full and not self._waiting.empty()
        return True


def _describe(transfer: Transfer) -> FinishedTransfer:
    snapshot = transfer.snapshot()
    details = transfer.details
    return FinishedTransfer(
        identifier=transfer.identifier,
        method=details.method,
        path=details.path,
        peer=details.peer,
        # The clock may have been set meanwhile.
        seconds=max(0.0, (snapshot.ended - snapshot.started) / 1e9),
        state=snapshot.state,
        status=snapshot.status,
        received=snapshot.received,
        sent=snapshot.sent,
        request_size=snapshot.request_size,
        response_size=snapshot.response_size,
    )
