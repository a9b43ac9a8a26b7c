"""How fast a transfer is, and how long it still takes.

The arithmetic is that of `web/progress.js`, so that a page and a terminal show the same numbers.
"""

from __future__ import annotations

#: Seconds after which a rate counts half.
HALF_LIFE = 2.0


class Estimate:
    """The rate of late: an exponential average of an exponential average, which does not jump."""

    def __init__(self) -> None:
        #: Bytes a second; None at first.
        self.rate: float | None = None
        self._average = 0.0
        self._smooth = 0.0
        self._elapsed = 0.0
        self._amount = 0
        self._time: float | None = None

    def note(self, amount: int, now: float) -> None:
        """Take note of how many bytes there are at a time in seconds."""
        if self._time is not None and now > self._time:
            seconds = now - self._time
            kept = 0.5 ** (seconds / HALF_LIFE)
            self._elapsed += seconds
            # Both averages begin at 0, so they have only this share of their weight.
            share = 1 - 0.5 ** (self._elapsed / HALF_LIFE)
            speed = (amount - self._amount) / seconds
            self._average = kept * self._average + (1 - kept) * speed
            self._smooth = kept * self._smooth + (1 - kept) * (self._average / share)
            self.rate = self._smooth / share
        self._amount = amount
        self._time = now

    def seconds_to(self, size: int | None, now: float) -> float | None:
        """Return the seconds from a time until there are so many bytes; None if nobody can tell."""
        if size is None or self._time is None or not self.rate or self.rate < 0:
            return None
        return max(0.0, (size - self._amount) / self.rate - (now - self._time))
