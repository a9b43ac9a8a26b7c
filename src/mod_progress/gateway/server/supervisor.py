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
from mod_progress.gateway.server.risks import risks
from mod_progress.gateway.server.site import Site
from mod_progress.gateway.server.systemd import Notifier, take_sockets
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

#: Bytes that are read of what workers write: what they write in a day.
_MOST_SIGNS = 100_000

#: New objects after which a worker collects garbage; Python's default is 700.
_GARBAGE = 10_000


@dataclass(slots=True)
class _Child:
    """One worker process."""

    generation: Generation
    started: float
    #: A pipe into which the worker writes a byte when it serves, and one more about every second.
    signs: int
    serves: bool = False
    #: When the last of them were read, in monotonic time.
    heard: float = 0.0
    #: The last signal that told it to end.
    end: signal.Signals | None = None


class Supervisor:
    """Keeps the workers of a site running, and exchanges them for those of a new one."""

    def __init__(self, load: Callable[[], Site]) -> None:
        """Take what loads the site: called at the start, and again at each reload.

        Raises `ListenError` for a socket of systemd's that cannot be used.
        """
        self._load = load
        #: What is served, as it was loaded at the start.
        self.site = load()
        self._notifier = Notifier(os.environ)
        self._sockets = Sockets(take_sockets(os.environ))
        self._children: dict[int, _Child] = {}
        # The generation that serves, and one that is about to take its place.
        self._current: Generation | None = None
        self._next: Generation | None = None
        self._next_deadline = 0.0
        # When a worker may be started again, in monotonic time.
        self._next_start = 0.0
        self._reload_wanted = False
        self._reopen_wanted = False
        # What systemd was told last: that this generation serves, or that the end has come.
        self._told: Generation | signal.Signals | None = None
        # What the log has warned of.
        self._risks: set[str] = set()
        # Why the last reload was given up.
        self._trouble = ""
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
            self._current = self._sockets.prepare(self.site)
        except Exception:
            self._sockets.close_unused(())
            raise
        for name in self._sockets.unused():
            logger.warning(
                "systemd has passed '%s', which no listener takes: systemd:%s", name, name
            )
        self._warn_of(self._current)
        return self._sockets.urls(self.site)

    def _warn_of(self, generation: Generation) -> None:
        """Log what is unsafe, each risk once."""
        for risk in risks(generation):
            if risk not in self._risks:
                self._risks.add(risk)
                logger.warning("%s", risk)

    def run(self) -> None:
        """Serve until SIGTERM, SIGINT or SIGQUIT, and until what was in flight has finished."""
        steps = (
            (self._hear_workers, "hear whether workers serve"),
            (self._reap, "look after workers that ended"),
            (self._finish_reload, "finish the reload"),
            (self._start_reload, "reload the configuration"),
            (self._end_workers, "end workers"),
            (self._close_sockets, "stop listening"),
            (self._reopen_logs, "tell the workers to open their logs again"),
            (self._start_missing, "start a worker"),
            (self._tell_systemd, "tell systemd about the state"),
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
        pauses = [_PAUSE] if self._failed else []
        if self._next is not None or (self._notifier.is_heard and self._told is None):
            pauses.append(_READY_INTERVAL)
        if self._next_start > now:
            pauses.append(self._next_start - now)
        if self._notifier.interval:
            pauses.append(max(self._notifier.next_sign - now, 0.001))
        signal.setitimer(signal.ITIMER_REAL, min(pauses, default=0.0))  # 0: never
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
        signs, serving = os.pipe()
        try:
            pid = os.fork()
        except Exception:
            os.close(signs)
            os.close(serving)
            raise
        if not pid:
            self._work(generation, signs, serving)
        self._children[pid] = _Child(generation, time.monotonic(), signs)
        os.close(serving)
        os.set_blocking(signs, False)

    def _work(self, generation: Generation, signs: int, serving: int) -> None:
        """Be a worker; never returns."""
        status = 1
        try:
            self._close_inherited(generation, signs)
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

    def _close_inherited(self, generation: Generation, signs: int) -> None:
        """Close, in a worker, what only the supervisor or another generation uses."""
        for descriptor in (signs, self._life, *(child.signs for child in self._children.values())):
            os.close(descriptor)
        self._sockets.close_inherited(generation)

    def _close_sockets(self) -> None:
        """Stop listening where no generation listens any more, and everywhere at the end."""
        used = () if self._end else filter(None, (self._current, self._next))
        self._sockets.close_unused(used)

    def _hear_workers(self) -> None:
        """Note which workers have given a sign since the last time."""
        for child in self._children.values():
            with suppress(BlockingIOError):
                if os.read(child.signs, _MOST_SIGNS):
                    child.serves, child.heard = True, time.monotonic()

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
            os.close(child.signs)
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
        self._told, self._trouble = None, ""
        self._notifier.send("RELOADING=1", f"MONOTONIC_USEC={time.monotonic_ns() // 1000}")
        try:
            self._next = self._sockets.prepare(self._load())
            self._warn_of(self._next)
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
        if len(children) < self._next.site.workers or time.monotonic() > self._next_deadline:
            self._give_up_reload("its workers do not start")
        elif all(child.serves for child in children):
            self._current, self._next = self._next, None
            self._end_workers()
            logger.info("reloaded")

    def _give_up_reload(self, why: str, with_traceback: bool = False) -> None:
        self._next = None
        first_line = why.partition("\n")[0]
        self._trouble = f"; the configuration is not reloaded: {first_line}"
        logger.error("the configuration is not reloaded: %s", why, exc_info=with_traceback)

    # What systemd hears.

    def _tell_systemd(self) -> None:
        """Tell systemd what has changed, and, where it asks for that, that workers serve."""
        if self._end and self._told is not self._end:
            self._told = self._end
            self._notifier.send("STOPPING=1", "STATUS=finishing what is in flight")
        elif self._told is None and self._next is None and self._current is not None:
            workers = self._workers_of(self._current)
            site = self._current.site
            if len(workers) == site.workers and all(child.serves for child in workers):
                self._told = self._current
                addresses = ", ".join(self._sockets.urls(site))
                status = f"STATUS={len(workers)} workers serve {addresses}{self._trouble}"
                self._notifier.send("READY=1", status)
        self._notifier.give_sign([child.heard for child in self._children.values()])


def _how(status: int) -> str:
    """Return how a process ended, from what waitpid says."""
    code = os.waitstatus_to_exitcode(status)
    if code >= 0:
        return f"exit code {code}"
    try:
        return signal.Signals(-code).name
    except ValueError:  # a real-time signal
        return f"signal {-code}"
