"""The totals in an LMDB environment: one record."""

from __future__ import annotations

import lmdb

from mod_progress.stores.totals import Totals

__all__ = ["TOTALS", "add"]

#: The key of the record.
TOTALS = b"c"


def add(transaction: lmdb.Transaction[bytes], more: Totals) -> None:
    """Add to the totals. Takes a few microseconds."""
    totals = Totals.decode(transaction.get(TOTALS))
    totals.add(more)
    transaction.put(TOTALS, totals.encode())
