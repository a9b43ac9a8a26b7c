"""How long a request's body and its answer took, in the header field ``Server-Timing``.

The syntax is that of the W3C's Server Timing, section 2; durations are in milliseconds.
"""

from __future__ import annotations

import time
from collections.abc import Callable

#: The name of the field.
SERVER_TIMING = "Server-Timing"


class ServerTiming:
    """Measures one request, from its head until the head of its response."""

    __slots__ = ("_begun", "_clock", "_whole")

    def __init__(
        self, request_size: int | None, clock: Callable[[], float] = time.perf_counter
    ) -> None:
        """Begin: the head is here. A body of ``request_size`` 0 is here, too."""
        self._clock = clock
        self._begun = clock()
        #: When the whole body was here; None until then.
        self._whole = self._begun if request_size == 0 else None

    def body_ended(self) -> None:
        """The whole body is here. Only the first call counts."""
        if self._whole is None:
            self._whole = self._clock()

    def value(self) -> str:
        """Return the field's value for a response whose head goes out now.

        ``body`` is the time from the request's head until its whole body was here, ``app`` that
        from then on. A response that begins before the body is whole has ``app`` alone, the time
        from the request's head.
        """
        now = self._clock()
        if self._whole is None:
            return f"app;dur={_milliseconds(now - self._begun)}"
        body, app = _milliseconds(self._whole - self._begun), _milliseconds(now - self._whole)
        return f"body;dur={body}, app;dur={app}"


def _milliseconds(seconds: float) -> str:
    return f"{seconds * 1000:.1f}"
