"""Learns that the server was told to end, so that answers that wait do not hold it up.

Servers let the responses in progress end before they do: uvicorn and granian without a limit by
default, gunicorn's workers for 30 seconds (hypercorn cuts after 3, daphne at once). None tells the
app of it until then. So when somebody watches, the signals that end a server come by here on their
way to the server's own handlers.
"""

from __future__ import annotations

import signal
import time
from collections.abc import Callable
from contextlib import suppress
from types import FrameType
from typing import Any

from mod_progress.fork import renew_after_fork

#: The signals that tell a server to end.
SIGNALS = (signal.SIGTERM, signal.SIGINT)

#: Seconds for which a signal is believed. A process that is still there then goes on.
BELIEVED = 60.0


class Shutdown:
    """Whether this process was told to end."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self.after_fork()
        renew_after_fork(self)

    def after_fork(self) -> None:
        """Know nothing of what the parent was told."""
        self._until = 0.0

    def listen(self) -> None:
        """Let the signals come by here, if the server handles them in Python.

        Handlers can be set in the main thread alone. In another nothing happens.
        """
        for number in SIGNALS:
            handler = signal.getsignal(number)
            if callable(handler) and not isinstance(handler, _Handler):
                with suppress(ValueError):
                    signal.signal(number, _Handler(self, handler))
                    # asyncio and gunicorn have said so for their handlers, which is forgotten when
                    # one is set. Event loops wake at a signal all the same (signal(7)).
                    if hasattr(signal, "siginterrupt"):  # not on Windows
                        signal.siginterrupt(number, False)

    def is_near(self) -> bool:
        """Whether the process was told to end."""
        return self._clock() < self._until

    def note(self) -> None:
        """The process is told to end now."""
        self._until = self._clock() + BELIEVED


class _Handler:
    """Notes a signal, and hands it on to the handler that was there before.

    Its other attributes are those of that handler: sse-starlette finds uvicorn's server by
    ``__self__``.
    """

    def __init__(self, shutdown: Shutdown, handler: Callable[[int, FrameType | None], Any]) -> None:
        self._shutdown = shutdown
        self._handler = handler

    def __call__(self, number: int, frame: FrameType | None) -> Any:
        self._shutdown.note()
        return self._handler(number, frame)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._handler, name)


#: There is one for all, as a process has one handler of a signal.
shutdown = Shutdown()
