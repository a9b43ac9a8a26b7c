"""To hear of a reset on a socket that nobody reads."""

from __future__ import annotations

import asyncio
import os
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

    def watch(self, descriptor: int, gone: Callable[[], None]) -> int:
        """Call ``gone``, once, when the socket is reset; return what `forget` takes."""
        # A duplicate: the socket's owner may close its own, and the number be another's.
        watched = os.dup(descriptor)
        self._watched[watched] = gone
        self._epoll.register(watched, 0)
        return watched

    def forget(self, watched: int) -> None:
        """Watch the socket no longer."""
        if self._watched.pop(watched, None) is not None:
            self._epoll.unregister(watched)
            os.close(watched)

    def _poll(self) -> None:
        for watched, _ in self._epoll.poll(0):
            gone = self._watched[watched]
            self.forget(watched)
            gone()


_hangups: WeakKeyDictionary[asyncio.AbstractEventLoop, Hangups] = WeakKeyDictionary()


def hangups(loop: asyncio.AbstractEventLoop) -> Hangups:
    """Return the loop's own `Hangups`."""
    if loop not in _hangups:
        _hangups[loop] = Hangups(loop)
    return _hangups[loop]
