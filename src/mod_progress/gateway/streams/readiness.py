"""Sockets that a transport owns, watched beside it: ready to read, ready to write, hung up.

A loop refuses to watch a transport's own descriptor. A duplicate would do, but descriptors are what
ten thousand slow transfers run out of first. So one epoll for each loop watches the descriptors
themselves, and the loop watches the epoll.
"""

from __future__ import annotations

import asyncio
import logging
import select
from collections.abc import Callable
from weakref import WeakKeyDictionary

logger = logging.getLogger("mod_progress.gateway")

HAVE_EPOLL = hasattr(select, "epoll")

#: Told once: with True for a reset, with False where both sides have ended.
HungUp = Callable[[bool], None]

#: Called whenever the socket is ready.
Ready = Callable[[], None]


class _Watched:
    """Who wants to know what of one socket."""

    __slots__ = ("hung_up", "readable", "writable")

    def __init__(self) -> None:
        self.hung_up: HungUp | None = None
        self.readable: Ready | None = None
        self.writable: Ready | None = None

    @property
    def events(self) -> int:
        """The events to ask for. The system reports hang-ups and errors unasked."""
        wanted = 0
        if self.readable is not None:
            wanted |= select.EPOLLIN
        if self.writable is not None:
            wanted |= select.EPOLLOUT
        return wanted

    @property
    def wanted(self) -> bool:
        """Whether anybody wants to know anything."""
        return not (self.hung_up is None and self.readable is None and self.writable is None)


class Readiness:
    """Watches the sockets of one loop.

    Whoever moves bytes beside a transport waits here until it can go on. And whoever does not read
    a socket hears here that its peer has reset the connection: the loop would not tell.

    Systems without epoll hear of a reset with the next byte that is read or written, and bodies do
    not bypass the transports there.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._watched: dict[int, _Watched] = {}
        self._epoll = select.epoll() if HAVE_EPOLL else None
        if self._epoll is not None:
            loop.add_reader(self._epoll.fileno(), self._dispatch)

    def when_hung_up(self, descriptor: int, hung_up: HungUp | None) -> None:
        """Call ``hung_up``, once, where the connection ends; None: watch for that no longer."""
        if self._epoll is not None:
            self._update(descriptor, "hung_up", hung_up)

    def when_readable(self, descriptor: int, ready: Ready | None) -> None:
        """Call ``ready`` whenever the socket can be read; None: watch for that no longer."""
        self._update(descriptor, "readable", ready)

    def when_writable(self, descriptor: int, ready: Ready | None) -> None:
        """Call ``ready`` whenever the socket can be written; None: watch for that no longer."""
        self._update(descriptor, "writable", ready)

    def forget(self, descriptor: int) -> None:
        """Watch for nothing any more; to be called before the descriptor is closed."""
        if self._watched.pop(descriptor, None) is not None:
            assert self._epoll is not None
            self._epoll.unregister(descriptor)

    def _update(self, descriptor: int, event: str, wants: HungUp | Ready | None) -> None:
        assert self._epoll is not None
        watched = self._watched.get(descriptor)
        if watched is None:
            watched = _Watched()
            setattr(watched, event, wants)
            if watched.wanted:
                self._epoll.register(descriptor, watched.events)
                self._watched[descriptor] = watched
            return
        before = watched.events
        setattr(watched, event, wants)
        if not watched.wanted:
            self.forget(descriptor)
        elif watched.events != before:
            self._epoll.modify(descriptor, watched.events)

    def _dispatch(self) -> None:
        assert self._epoll is not None
        ready = [(each, event, self._watched.get(each)) for each, event in self._epoll.poll(0)]
        for descriptor, event, watched in ready:
            # What an earlier callback closed, and perhaps opened anew, has nothing to do with it.
            if watched is not None and self._watched.get(descriptor) is watched:
                try:
                    self._tell(descriptor, event, watched)
                except Exception:
                    logger.exception("a socket's event could not be handled")

    def _tell(self, descriptor: int, event: int, watched: _Watched) -> None:
        ended = event & (select.EPOLLERR | select.EPOLLHUP)
        if watched.readable is None and watched.writable is None:
            hung_up = watched.hung_up
            self.when_hung_up(descriptor, None)
            if hung_up is not None:
                hung_up(bool(event & select.EPOLLERR))
            return
        # Whoever moves bytes meets the end, or the error, by trying.
        if watched.readable is not None and event & (select.EPOLLIN | ended):
            watched.readable()
        if watched.writable is not None and event & (select.EPOLLOUT | ended):
            watched.writable()


_readiness: WeakKeyDictionary[asyncio.AbstractEventLoop, Readiness] = WeakKeyDictionary()


def readiness(loop: asyncio.AbstractEventLoop) -> Readiness:
    """Return the loop's own `Readiness`."""
    found = _readiness.get(loop)
    if found is None:
        found = _readiness[loop] = Readiness(loop)
    return found
