"""The numbers that only grow: what the transfers of all processes came to since the store began.

Each process counts its own transfers, and adds what is new to the numbers of the store. So these do
not depend on any process, and an end counts once, by whoever knows of it first: the transfer's own
process, or, where that died, the one that finds its lapsed entry.
"""

from __future__ import annotations

import secrets
import struct
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Mapping
from math import inf
from typing import Protocol, runtime_checkable

from mod_progress.transfer import Direction, Snapshot, State

__all__ = ["BOUNDS", "FIELDS", "Counting", "Totals"]

#: The upper bounds of the histogram of durations, in seconds.
BOUNDS = (0.1, 0.5, 1.0, 5.0, 15.0, 60.0, 300.0, 1800.0, 3600.0, inf)

_ENDS = [(direction, state) for direction in Direction for state in (State.DONE, State.ERROR)]
_PLACES = {end: place for place, end in enumerate(_ENDS)}

_RECEIVED = len(_ENDS)
_SENT = _RECEIVED + 1
_MICROSECONDS = _SENT + 1
_FIRST_BUCKET = _MICROSECONDS + 1

#: The name of each number, in their order. The buckets do not include each other.
FIELDS = (
    *(f"{direction}_{state}" for direction, state in _ENDS),
    *("received", "sent", "microseconds"),
    *(f"within_{bound:g}" for bound in BOUNDS),
)

_RECORD = struct.Struct(f">{len(FIELDS)}Q")
_MOST = 2**64 - 1


class Totals:
    """Ends by direction and state, bytes, and durations. They only grow."""

    __slots__ = ("mark", "numbers")

    def __init__(self, numbers: Iterable[int] = ()) -> None:
        self.numbers = list(numbers) or [0] * len(FIELDS)
        #: Tells these numbers from all others that are added to a store.
        self.mark = secrets.token_hex(8)

    def __bool__(self) -> bool:
        return any(self.numbers)

    @classmethod
    def named(cls, numbers: Mapping[str, int]) -> Totals:
        """Return the totals with these `FIELDS`; one that is missing is 0."""
        return cls(numbers.get(field, 0) for field in FIELDS)

    def count_bytes(self, before: Snapshot | None, now: Snapshot) -> None:
        """Count what a transfer moved since the snapshot before; None stands for its start."""
        numbers = self.numbers
        numbers[_RECEIVED] += now.received - (before.received if before else 0)
        numbers[_SENT] += now.sent - (before.sent if before else 0)

    def count_end(self, snapshot: Snapshot, seconds: float) -> None:
        """Count the end of a transfer that took so many seconds. Its bytes count apart."""
        numbers = self.numbers
        numbers[_PLACES[snapshot.direction, snapshot.state]] += 1
        numbers[_MICROSECONDS] += max(0, round(seconds * 1e6))
        numbers[_FIRST_BUCKET + bisect_left(BOUNDS, seconds)] += 1

    def add(self, other: Totals) -> None:
        """Add the numbers of others."""
        self.numbers = [
            own + max(0, more) for own, more in zip(self.numbers, other.numbers, strict=True)
        ]

    def encode(self) -> bytes:
        """Return the record of the numbers, which `decode` reads."""
        return _RECORD.pack(*(min(number, _MOST) for number in self.numbers))

    @classmethod
    def decode(cls, record: bytes | None) -> Totals:
        """Return the totals of a record; all are 0 where there is none."""
        if record is None or len(record) != _RECORD.size:
            return cls()
        return cls(_RECORD.unpack(record))

    def ends(self) -> Iterator[tuple[Direction, State, int]]:
        """Yield how many transfers of each direction ended in each state."""
        for (direction, state), number in zip(_ENDS, self.numbers, strict=False):
            yield direction, state, number

    @property
    def received(self) -> int:
        """Bytes of request bodies."""
        return self.numbers[_RECEIVED]

    @property
    def sent(self) -> int:
        """Bytes of response bodies that clients have."""
        return self.numbers[_SENT]

    @property
    def seconds(self) -> float:
        """What all ended transfers took together."""
        return self.numbers[_MICROSECONDS] / 1e6

    def buckets(self) -> Iterator[tuple[float, int]]:
        """Yield each bound, and how many transfers took so many seconds at most."""
        number = 0
        for bound, more in zip(BOUNDS, self.numbers[_FIRST_BUCKET:], strict=True):
            number += more
            yield bound, number


@runtime_checkable
class Counting(Protocol):
    """A store that keeps totals."""

    def add_totals(self, totals: Totals) -> None:
        """Add to the totals. Raises `StoreError`.

        After a failure the same object, unchanged, is added again, and counts once.
        """
