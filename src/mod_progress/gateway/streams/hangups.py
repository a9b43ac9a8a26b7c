"""To hear of a reset of a socket that nobody reads."""

from __future__ import annotations

import asyncio
import select
from collections.abc import Callable
from weakref import WeakKeyDictionary

HAVE_EPOLL = hasattr(select, "epoll")


class Hangups:
    """Tells that a socket was reset while nobody reads it.

    A loop that waits only for the other side of a transfer would not hear of it: an epoll of its
    own, with no event asked for, reports a hang-up and nothing else. Other systems hear of it with
    the next byte that is read or written.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._watched: dict[int, Callable[[bool], None]] = {}
        self._epoll = select.epoll() if HAVE_EPOLL else None
        if self._epoll is not None:
            loop.add_reader(self._epoll.fileno(), self._poll)

    def watch(self, descriptor: int, gone: Callable[[bool], None]) -> None:
        """Call ``gone``, once: with True for a reset, with False where both sides have ended."""
        if self._epoll is not None:
            self._watched[descriptor] = gone
            self._epoll.register(descriptor, 0)

    def forget(self, descriptor: int) -> None:
        """Watch the socket no longer; to be called before it is closed."""
        if self._watched.pop(descriptor, None) is not None:
            assert self._epoll is not None
            self._epoll.unregister(descriptor)

    def _poll(self) -> None:
        assert self._epoll is not None
        for descriptor, event in self._epoll.poll(0):
            gone = self._watched[descriptor]
            self.forget(descriptor)
            gone(bool(event & select.EPOLLERR))


_hangups: WeakKeyDictionary[asyncio.AbstractEventLoop, Hangups] = WeakKeyDictionary()


def hangups(loop: asyncio.AbstractEventLoop) -> Hangups:
    """Return the loop's own `Hangups`."""
    if loop not in _hangups:
        _hangups[loop] = Hangups(loop)
    return _hangups[loop]
