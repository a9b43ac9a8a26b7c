"""The Range field of a request (RFC 9110, section 14); no I/O."""

from __future__ import annotations

import re
from typing import NamedTuple

#: The most ranges of one request that are answered as ranges. Players and download managers ask
#: for few; many are a way to keep a server busy (RFC 9110, section 17.15).
MOST_RANGES = 32

# 20 digits hold 2**64: clients that mean "to the end" write such numbers.
_SPEC = re.compile(rb"[ \t]*([0-9]{0,20})-([0-9]{0,20})[ \t]*").fullmatch


class Range(NamedTuple):
    """A part of a file."""

    start: int
    length: int

    def line(self, size: int) -> bytes:
        """Return the Content-Range field for a file of ``size`` bytes."""
        last = self.start + self.length - 1
        return b"Content-Range: bytes %d-%d/%d\r\n" % (self.start, last, size)


def parse_ranges(value: bytes, size: int) -> list[Range] | None:
    """Return the ranges that a file of ``size`` bytes has; an empty list calls for a 416.

    None where the field is ignored, as it may be: another unit, a malformed set, or one that asks
    for too many ranges, or for more bytes than the whole file has.
    """
    unit, _, specs = value.partition(b"=")
    if unit.lower() != b"bytes" or not size:
        return None
    asked = [spec for spec in specs.split(b",") if spec.strip(b" \t")]
    if not 0 < len(asked) <= MOST_RANGES:
        return None
    ranges: list[Range] = []
    for spec in asked:
        match = _SPEC(spec)
        if match is None or not _sensible(match[1], match[2]):
            return None
        found = _satisfy(match[1], match[2], size)
        if found.length > 0:
            ranges.append(found)
    return ranges if sum(each.length for each in ranges) <= size else None


def _sensible(first: bytes, last: bytes) -> bool:
    """Whether the numbers make a range: one of them is there, and the first is not larger."""
    if first and last:
        return int(first) <= int(last)
    return bool(first or last)


def _satisfy(first: bytes, last: bytes, size: int) -> Range:
    """Cut a range to the size of the file. A range behind the end becomes empty."""
    if not first:
        length = min(int(last), size)
        return Range(size - length, length)
    end = min(int(last) + 1, size) if last else size
    return Range(int(first), end - int(first))
