"""How long a peer may keep us waiting, all in all."""

from __future__ import annotations


class Patience:
    """Time that waiting uses up, and that bytes earn back at the least rate.

    So a peer that sends ever so little, ever so often, waits no longer than one that is silent:
    over any span its bytes must have come at the rate. Time in which nobody waits for the peer
    does not count.
    """

    __slots__ = ("_left", "_paid", "_rate", "_since", "_span")

    def __init__(self, span: float, rate: int) -> None:
        """Grant ``span`` seconds at the start and at most, and ``1 / rate`` of one for a byte."""
        self._span = self._left = span
        self._rate = rate
        self._paid = 0
        self._since: float | None = None

    def begin(self, now: float, received: int) -> float:
        """Begin to wait, after ``received`` bytes in all; return when patience ends."""
        self._left = min(self._span, self._left + (received - self._paid) / self._rate)
        self._paid = received
        self._since = now
        return now + self._left

    def end(self, now: float) -> None:
        """The waiting is over."""
        if self._since is not None:
            self._left -= now - self._since
            self._since = None
