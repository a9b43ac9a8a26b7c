"""To hear of a reset on a socket that nobody reads."""

from __future__ import annotations

import asyncio
import select
from collections.abc import Callable
from weakref import WeakKeyDictionary


class Hangups:
    """Tells that a socket was reset while nobody reads it.

    A loop that waits only for the other side of a transfer would not hear of it: an epoll of its
    own, with no event asked for, reports a hang-up and nothing else.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._epoll = select.epoll()
        self._watched: dict[int, Callable[[], None]] = {}
        loop.add_reader(self._epoll.fileno(), self._poll)

    def watch(self, descriptor: int, gone: Callable[[], None]) -> None:
        """Call ``gone``, once, when the socket is reset."""
        self._watched[descriptor] = gone
        self._epoll.register(descriptor, 0)

    def forget(self, descriptor: int) -> None:
        """Watch the socket no longer."""
        if self._watched.pop(descriptor, None) is not None:
            self._epoll.unregister(descriptor)

    def _poll(self) -> None:
        for descriptor, _ in self._epoll.poll(0):
            gone = self._watched[descriptor]
            self.forget(descriptor)
            gone()


_hangups: WeakKeyDictionary[asyncio.AbstractEventLoop, Hangups] = WeakKeyDictionary()


def hangups(loop: asyncio.AbstractEventLoop) -> Hangups:
    """Return the loop's own `Hangups`."""
    if loop not in _hangups:
        _hangups[loop] = Hangups(loop)
    return _hangups[loop]
