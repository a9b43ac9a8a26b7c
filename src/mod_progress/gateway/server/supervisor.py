"""The parent of the workers: it holds the listening sockets, and serves nobody itself.

All workers accept from the same sockets, also those of two configurations during a reload. So no
connection that waits to be accepted is lost.

A signal only changes what the supervisor wants. After each signal a list of steps compares what is
wanted with what there is, and changes what there is. A step that fails is tried again later, so
nothing that it raises ends the supervisor.
"""

from __future__ import annotations

import gc
import logging
import os
import signal
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass

from mod_progress.gateway.server import worker
from mod_progress.gateway.server.descriptors import raise_descriptor_limit
from mod_progress.gateway.server.generation import (
    Generation,
    ReloadError,
    Sockets,
    prepare_logs,
)
from mod_progress.gateway.server.listening import ListenError
from mod_progress.gateway.server.site import Site
from mod_progress.stores import open_store
from mod_progress.tracker import Tracker

logger = logging.getLogger("mod_progress.gateway")

#: What the supervisor waits for; SIGALRM is its own timer.
_SIGNALS = {
    signal.SIGALRM,
    signal.SIGCHLD,
    signal.SIGHUP,
    signal.SIGINT,
    signal.SIGQUIT,
    signal.SIGTERM,
    signal.SIGUSR1,
}

#: Seconds that new workers may take until they serve, before a reload is given up.
_READY_TIME = 30.0

#: Seconds between two looks whether new workers serve.
_READY_INTERVAL = 0.02

#: Seconds until a step that failed is tried again, and until a worker is started in place of one
#: that lived for a shorter time: a worker that cannot start is not started in a tight loop.
_PAUSE = 1.0

#: New objects after which a worker collects garbage; Python's default is 700.
_GARBAGE = 10_000


@dataclass(slots=True)
class _Child:
    """One worker process."""

    generation: Generation
    started: float
    #: A pipe from which a byte can be read when the worker serves.
    ready: int
    serves: bool = False
    #: The last signal that told it to end.
    end: signal.Signals | None = None


class Supervisor:
    """Keeps the workers of a site running, and exchanges them for those of a new one."""

    def __init__(self, load: Callable[[], Site]) -> None:
        """Take what loads the site: called at the start, and again at each reload."""
        self._load = load
        self._site = load()
        self._sockets = Sockets()
        self._children: dict[int, _Child] = {}
        # The generation that serves, and one that is about to take its place.
        self._current: Generation | None = None
        self._next: Generation | None = None
        self._next_deadline = 0.0
        # When a worker may be started again, in monotonic time.
        self._next_start = 0.0
        self._reload_wanted = False
        self._reopen_wanted = False
        # What ends the workers, once this process is told to end.
        self._end: signal.Signals | None = None
        # The steps that failed the last time, and why.
        self._failed: dict[str, str] = {}
        # Readable, by its end, when this process is gone, for whatever reason.
        self._lifeline, self._life = os.pipe()

    def bind(self) -> list[str]:
        """Listen, and return the URLs; raises `ListenError` or `ReloadError`.

        From now on signals wait for `run`: whoever reads the URLs may send one at once.
        """
        signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)
        # A process may be started with SIGCHLD ignored. The system then reports no worker's end.
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        # Other servers start their next version at SIGUSR2. Here it means nothing.
        signal.signal(signal.SIGUSR2, signal.SIG_IGN)
        raise_descriptor_limit()
        try:
            self._current = self._sockets.prepare(self._site)
        except Exception:
            self._sockets.close_unused(())
            raise
        if self._current.identity is None and os.geteuid() == 0:
            logger.warning("workers run as root: name another user by --user, or user in setup")
        return self._sockets.urls(self._site)

    def run(self) -> None:
        """Serve until SIGTERM, SIGINT or SIGQUIT, and until what was in flight has finished."""
        steps = (
            (self._reap, "look after workers that ended"),
            (self._finish_reload, "finish the reload"),
            (self._start_reload, "reload the configuration"),
            (self._end_workers, "end workers"),
            (self._close_sockets, "stop listening"),
            (self._reopen_logs, "tell the workers to open their logs again"),
            (self._start_missing, "start a worker"),
        )
        while True:
            for step, purpose in steps:
                self._try(step, purpose)
            if self._end and not self._children:
                return
            self._try(self._wait, "wait for a signal")

    def _try(self, step: Callable[[], None], purpose: str) -> None:
        """Run a step. Whatever it raises is logged once, and the step is tried again later."""
        try:
            step()
        except Exception as error:
            if self._failed.get(purpose) != str(error):
                unexpected = not isinstance(error, ReloadError | OSError)
                logger.error("cannot %s, trying again: %s", purpose, error, exc_info=unexpected)
            self._failed[purpose] = str(error)
        else:
            self._failed.pop(purpose, None)

    def _wait(self) -> None:
        """Wait for a signal, no longer than until a step has something to do, and note it."""
        now = time.monotonic()
        pause = _PAUSE if self._failed else 0.0
        if self._next is not None:
            pause = _READY_INTERVAL
        elif self._next_start > now:
            pause = self._next_start - now
        signal.setitimer(signal.ITIMER_REAL, pause)  # 0: never
        number = signal.sigwait(_SIGNALS)
        if number == signal.SIGHUP:
            self._reload_wanted = True
        elif number == signal.SIGUSR1:
            self._reopen_wanted = True
        elif number in (signal.SIGINT, signal.SIGQUIT, signal.SIGTERM):
            # The second time, the workers end at once.
            self._end = signal.SIGKILL if self._end else signal.SIGTERM
            self._next = None

    # Workers.

    def _start_missing(self) -> None:
        """Start workers until there are as many as the site has."""
        if self._end or self._current is None:
            return
        while len(self._workers_of(self._current)) < self._current.site.workers:
            now = time.monotonic()
            if now < self._next_start:
                return
            self._next_start = now + _PAUSE  # stays if the start fails
            self._start(self._current)
            self._next_start = 0.0

    def _workers_of(self, generation: Generation) -> list[_Child]:
        return [child for child in self._children.values() if child.generation is generation]

    def _start(self, generation: Generation) -> None:
        ready, serving = os.pipe()
        try:
            pid = os.fork()
        except Exception:
            os.close(ready)
            os.close(serving)
            raise
        if not pid:
            self._work(generation, ready, serving)
        self._children[pid] = _Child(generation, time.monotonic(), ready)
        os.close(serving)
        os.set_blocking(ready, False)

    def _work(self, generation: Generation, ready: int, serving: int) -> None:
        """Be a worker; never returns."""
        status = 1
        try:
            self._close_inherited(generation, ready)
            # Freeze the objects made at start and collect rarely: requests leave no cycles behind,
            # and the collector cost 5% of a small request.
            gc.freeze()
            gc.set_threshold(_GARBAGE)
            # These are for the supervisor, but a terminal sends SIGINT to all processes. `Worker`
            # takes SIGUSR1 when it has opened its log.
            for number in (signal.SIGHUP, signal.SIGINT, signal.SIGUSR1):
                signal.signal(number, signal.SIG_IGN)
            signal.pthread_sigmask(signal.SIG_UNBLOCK, _SIGNALS)
            if generation.identity is not None:
                generation.identity.assume()
            tracker = Tracker(generation.site.options, open_store(generation.site.store))
            worker.serve(generation.site, tracker, generation.listeners, serving, self._lifeline)
            status = 0
        except Exception:
            logger.exception("a worker failed")
        finally:
            try:
                logging.shutdown()
            finally:
                os._exit(status)

    def _close_inherited(self, generation: Generation, ready: int) -> None:
        """Close, in a worker, what only the supervisor or another generation uses."""
        for descriptor in (ready, self._life, *(child.ready for child in self._children.values())):
            os.close(descriptor)
        self._sockets.close_inherited(generation)

    def _close_sockets(self) -> None:
        """Stop listening where no generation listens any more, and everywhere at the end."""
        used = () if self._end else filter(None, (self._current, self._next))
        self._sockets.close_unused(used)

    def _reap(self) -> None:
        """Forget the workers that ended, and reap children that are no workers.

        There are such children where this process is the first one of a container, or has taken the
        place of a shell that had started others.
        """
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if not pid:
                return
            child = self._children.pop(pid, None)
            if child is None:
                continue
            os.close(child.ready)
            if child.generation is self._current and not self._end:
                if time.monotonic() - child.started < _PAUSE:
                    self._next_start = time.monotonic() + _PAUSE
                logger.error("worker %d died (%s), starting another", pid, _how(status))

    def _end_workers(self) -> None:
        """Tell workers to finish what they have in flight, and to end then.

        SIGQUIT is for a worker that has a successor: see `Worker.run`.
        """
        for pid, child in self._children.items():
            end = self._end
            if end is None and child.generation not in (self._current, self._next):
                end = signal.SIGQUIT
            if end is not None and end is not child.end:
                with suppress(ProcessLookupError):
                    os.kill(pid, end)
                child.end = end

    def _reopen_logs(self) -> None:
        """Pass on the signal after which each worker opens its log again."""
        if self._reopen_wanted:
            if self._current is not None:
                prepare_logs(self._current.site, self._current.identity)
            for pid in self._children:
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGUSR1)
            self._reopen_wanted = False

    # Reloading.

    def _start_reload(self) -> None:
        """Start workers with the configuration as it is now.

        Whatever the new configuration raises, the workers of the old one stay.
        """
        if not self._reload_wanted or self._next or self._end:
            return
        self._reload_wanted = False
        try:
            self._next = self._sockets.prepare(self._load())
            self._next_deadline = time.monotonic() + _READY_TIME
            for _ in range(self._next.site.workers):
                self._start(self._next)
        except Exception as error:
            unexpected = not isinstance(error, ReloadError | ListenError | OSError)
            self._give_up_reload(str(error), unexpected)

    def _finish_reload(self) -> None:
        """Let the new workers take over when all of them serve."""
        if self._next is None:
            return
        children = self._workers_of(self._next)
        for child in children:
            child.serves = child.serves or _is_ready(child.ready)
        if len(children) < self._next.site.workers or time.monotonic() > self._next_deadline:
            self._give_up_reload("its workers do not start")
        elif all(child.serves for child in children):
            self._current, self._next = self._next, None
            self._end_workers()
            logger.info("reloaded")

    def _give_up_reload(self, why: str, with_traceback: bool = False) -> None:
        self._next = None
        logger.error("the configuration is not reloaded: %s", why, exc_info=with_traceback)


def _is_ready(ready: int) -> bool:
    """Whether a worker has written that it serves; False also where it has ended."""
    try:
        return bool(os.read(ready, 1))
    except BlockingIOError:
        return False


def _how(status: int) -> str:
    """Return how a process ended, from what waitpid says."""
    code = os.waitstatus_to_exitcode(status)
    if code >= 0:
        return f"exit code {code}"
    try:
        return signal.Signals(-code).name
    except ValueError:  # a real-time signal
        return f"signal {-code}"
