"""The parent of the workers: it holds the listening sockets, and serves nobody itself.

All workers, also those of two generations during a reload, accept from the same sockets: a
connection that waits to be accepted is never lost.
"""

from __future__ import annotations

import gc
import logging
import os
import select
import signal
import socket
import ssl
import time
from collections.abc import Callable, Container
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from mod_progress.gateway.server import worker
from mod_progress.gateway.server.listening import ListenError, bind, tls_context, url_of
from mod_progress.gateway.server.site import Listener, Site
from mod_progress.stores import open_store
from mod_progress.tracker import Tracker

logger = logging.getLogger("mod_progress.gateway")

_SIGNALS = {signal.SIGCHLD, signal.SIGHUP, signal.SIGINT, signal.SIGTERM}

#: Seconds that new workers may take until they serve, before a reload is given up.
_READY_TIME = 30.0

#: New objects after which a worker looks for garbage; 700 elsewhere.
_GARBAGE = 10_000

#: Seconds that a worker must have lived to be replaced at once: one that cannot start is not
#: started again in a tight loop.
_SHORT_LIFE = 1.0


class ReloadError(Exception):
    """A new configuration cannot be used; the message says why, in one or more lines."""


@dataclass(slots=True)
class _Child:
    """One worker process."""

    pid: int
    started: float
    #: Readable when the worker serves.
    ready: int
    current: bool = True


class Supervisor:
    """Keeps the workers of a site running, and exchanges them for those of a new one."""

    def __init__(self, load: Callable[[], Site]) -> None:
        """Take what loads the site: called at the start, and again at each reload."""
        self._load = load
        self._site = load()
        self._sockets: dict[str, socket.socket] = {}
        self._children: dict[int, _Child] = {}
        self._stopping = False
        # Readable, by its end, when this process is gone, however it went.
        self._lifeline, self._life = os.pipe()

    def bind(self) -> list[str]:
        """Listen, and return where, as URLs; raises `ListenError`.

        Signals wait for `run` from now on: who is told the URLs may send one at once.
        """
        signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)
        self._sockets = self._bind(self._site)
        return [url_of(each, self._sockets[each.address]) for each in self._site.listeners]

    def run(self) -> None:
        """Serve until SIGTERM or SIGINT, and until what was in flight then has finished."""
        for _ in range(self._site.workers):
            self._start()
        handlers = {
            signal.SIGCHLD: self._reap,
            signal.SIGHUP: self._reload,
            signal.SIGINT: self._stop,
            signal.SIGTERM: self._stop,
        }
        while self._children:
            handlers[signal.Signals(signal.sigwait(_SIGNALS))]()

    def _bind(self, site: Site) -> dict[str, socket.socket]:
        """Listen on what is new, keep what stays; raises `ListenError` with nothing changed."""
        bound: dict[str, socket.socket] = {}
        try:
            for listener in site.listeners:
                if listener.tls is not None:
                    tls_context(listener.tls)
                kept = self._sockets.get(listener.address)
                bound[listener.address] = kept or bind(listener)
        except ListenError:
            for address in bound.keys() - self._sockets.keys():
                bound[address].close()
            raise
        return bound

    def _unbind(self, keep: Container[str] = ()) -> None:
        """Stop listening where nobody is to listen any more: who connects is refused."""
        for address in [each for each in self._sockets if each not in keep]:
            self._sockets.pop(address).close()
            if address.startswith("unix:"):
                Path(address.removeprefix("unix:")).unlink(missing_ok=True)

    # Workers.

    def _start(self) -> _Child:
        ready, serving = os.pipe()
        pid = os.fork()
        if not pid:
            os.close(ready)
            os.close(self._life)
            self._work(serving)
        os.close(serving)
        child = _Child(pid, time.monotonic(), ready)
        self._children[pid] = child
        return child

    def _work(self, serving: int) -> None:
        """Be a worker; never returns."""
        status = 1
        try:
            # What is here stays, and requests leave no cycles behind: looking at all of it as often
            # as for other programs took a twentieth of a small request's time.
            gc.freeze()
            gc.set_threshold(_GARBAGE)
            signal.pthread_sigmask(signal.SIG_UNBLOCK, _SIGNALS)
            signal.signal(signal.SIGHUP, signal.SIG_IGN)
            signal.signal(signal.SIGINT, signal.SIG_IGN)  # a terminal sends it to all; we are told
            site = self._site
            wanted = {each.address for each in site.listeners}
            for address in self._sockets.keys() - wanted:
                self._sockets[address].close()  # one of the configuration before: see `_reload`
            tracker = Tracker(site.options, open_store(site.store))
            sockets = [(self._sockets[each.address], _context(each)) for each in site.listeners]
            worker.serve(site, tracker, sockets, serving, self._lifeline)
            status = 0
        except Exception:
            logger.exception("a worker failed")
        finally:
            logging.shutdown()
            os._exit(status)

    def _reap(self) -> None:
        """Replace the workers that died, unless they were told to end."""
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if not pid:
                return
            child = self._children.pop(pid)
            os.close(child.ready)
            if child.current and not self._stopping:
                logger.error("worker %d died (%s), starting another", pid, _how(status))
                if time.monotonic() - child.started < _SHORT_LIFE:
                    time.sleep(_SHORT_LIFE)
                self._start()

    def _reload(self) -> None:
        """Start workers with the configuration as it is now; the old ones finish their work."""
        try:
            site = self._load()
            sockets = self._bind(site)
        except (ReloadError, ListenError) as error:
            logger.error("the configuration is not reloaded: %s", error)
            return
        before, self._site = self._site, site
        self._sockets |= sockets
        old = [child for child in self._children.values() if child.current]
        new = [self._start() for _ in range(site.workers)]
        if not self._all_ready(new):
            logger.error("the configuration is not reloaded: its workers do not start")
            old, new, self._site = new, old, before
        for child in old:
            child.current = False
            with suppress(ProcessLookupError):
                os.kill(child.pid, signal.SIGQUIT)
        self._unbind(keep={each.address for each in self._site.listeners})
        if self._site is site:
            logger.info("reloaded")

    def _all_ready(self, children: list[_Child]) -> bool:
        deadline = time.monotonic() + _READY_TIME
        for child in children:
            left = max(0.0, deadline - time.monotonic())
            readable, _, _ = select.select([child.ready], [], [], left)
            if not readable or not os.read(child.ready, 1):
                return False
        return True

    def _stop(self) -> None:
        """Let the workers finish what is in flight; a second time, end them at once."""
        end = signal.SIGKILL if self._stopping else signal.SIGTERM
        self._stopping = True
        self._unbind()
        for pid in self._children:
            with suppress(ProcessLookupError):
                os.kill(pid, end)


def _context(listener: Listener) -> ssl.SSLContext | None:
    return None if listener.tls is None else tls_context(listener.tls)


def _how(status: int) -> str:
    code = os.waitstatus_to_exitcode(status)
    return f"exit code {code}" if code >= 0 else signal.Signals(-code).name
