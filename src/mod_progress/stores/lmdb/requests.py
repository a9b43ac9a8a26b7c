"""Requests to cancel a transfer, as processes leave them for its owner in LMDB.

The key of a request is `KEY` and the transfer's id. Its value is the transfer's token, which has
its start and its owner, and the time until which the request is kept.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from itertools import takewhile

import lmdb

from mod_progress.stores.cancelling import KEPT, ToCancel

__all__ = ["add", "remove", "requests_to"]

#: What the keys begin with, and those of nothing else.
KEY = b"q"

#: The start, the owner, and the time in nanoseconds of ``time.monotonic_ns``.
_VALUE = struct.Struct(">QQQ")

_KEPT = round(KEPT * 1e9)


def add(transaction: lmdb.Transaction[bytes], identifier: str, token: bytes, now: int) -> None:
    """Leave a request for the owner of a transfer; remove those that no owner has read in time."""
    for key, value in list(_all(transaction)):
        if _VALUE.unpack(value)[2] <= now:
            transaction.delete(key)
    transaction.put(KEY + identifier.encode(), token + (now + _KEPT).to_bytes(8))


def requests_to(owner: int, transaction: lmdb.Transaction[bytes]) -> list[ToCancel]:
    """Return the requests that are left for an owner. There are hardly ever any."""
    found = ((key, *_VALUE.unpack(value)) for key, value in _all(transaction))
    return [
        ToCancel(key[len(KEY) :].decode(), start) for key, start, each, _ in found if each == owner
    ]


def remove(transaction: lmdb.Transaction[bytes], request: ToCancel) -> None:
    """Remove a request."""
    transaction.delete(KEY + request.identifier.encode())


def _all(transaction: lmdb.Transaction[bytes]) -> Iterator[tuple[bytes, bytes]]:
    cursor = transaction.cursor()
    if not cursor.set_range(KEY):
        return iter(())
    return takewhile(lambda item: item[0].startswith(KEY), cursor)
