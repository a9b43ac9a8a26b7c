"""The least rate of a body: how long its sender may keep the gateway waiting in all."""

from __future__ import annotations


class Patience:
    """An amount of time. Waiting uses it up; each byte adds its time at the least rate.

    A peer that often sends a very little runs out of it like a silent one: over any span its bytes
    must come at the least rate. Time in which nobody waits for the peer does not count.
    """

    __slots__ = ("_left", "_paid", "_rate", "_since", "_span")

    def __init__(self, span: float, rate: int) -> None:
        """Begin with ``span`` seconds, which is also the most; a byte adds ``1 / rate`` of one."""
        self._span = self._left = span
        self._rate = rate
        self._paid = 0
        self._since: float | None = None

    def begin(self, now: float, received: int) -> float:
        """Begin to wait, after ``received`` bytes in all; return when the time is used up."""
        self._left = min(self._span, self._left + (received - self._paid) / self._rate)
        self._paid = received
        self._since = now
        return now + self._left

    def end(self, now: float) -> None:
        """End the waiting."""
        if self._since is not None:
            self._left -= now - self._since
            self._since = None
