"""The store of the processes of one machine: LMDB, in memory if the system has such a place.

One database holds the entries by id, and an index of them by time, which finds expired entries
without a scan. The index is lazy: an entry is in it once, under a time at which it may have
expired. When the sweep reaches that time and the entry is still alive, it moves to its present
expiry. So renewing a lease costs one write, not three.
"""

from __future__ import annotations

import os
import re
import struct
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import Future
from contextlib import suppress
from functools import lru_cache
from itertools import islice, takewhile

import lmdb

from mod_progress.fault_log import FaultLog
from mod_progress.fork import ProcessNumber, renew_after_fork
from mod_progress.options import OptionError
from mod_progress.stores.cancelling import ToCancel
from mod_progress.stores.contract import (
    CAPACITY,
    LEASE,
    MAX_TTL,
    WRITE_TIMEOUT,
    PublishResult,
    StoreBusy,
    StoreError,
    Update,
    lapsed,
)
from mod_progress.stores.health import Health
from mod_progress.stores.listing import Page, Query, Row
from mod_progress.stores.lmdb import requests
from mod_progress.stores.lmdb.directory import default_name
from mod_progress.stores.lmdb.environment import (
    DAMAGED,
    FAULTS,
    Environment,
    shared,
    store_errors,
    why,
)
from mod_progress.stores.lmdb.totals import TOTALS, add
from mod_progress.stores.record import SIZE, decode, decode_state, encode
from mod_progress.stores.totals import Totals
from mod_progress.stores.walks import SLICE, Walks
from mod_progress.transfer import UNKNOWN, Snapshot, State

__all__ = ["LocalStore"]

#: The first byte of a key: an entry's key goes on with its id, an index key with a time and an id.
ENTRY = b"e"
INDEX = b"t"

#: The time in an index key.
_TIME = struct.Struct(">Q")
_ID_IN_INDEX = len(INDEX) + _TIME.size

#: Identifies a transfer by its start and its owner. Tokens are in the order of the starts.
_TOKEN = struct.Struct(">QQ")

#: Follows the token: the deadline, which is when a running entry lapses or a finished one expires,
#: and the ttl. All times are nanoseconds of ``time.monotonic_ns``, which is the same in every
#: process of the machine. The record comes next, and the transfer's details last: a lookup does not
#: read them.
_TIMES = struct.Struct(">QQ")
_RECORD = _TOKEN.size + _TIMES.size
_DETAILS = _RECORD + SIZE

#: How many index entries an update sweeps: more than the one that it may add.
SWEEP = 2

#: Bytes of the map for each entry: the longest id in its two keys and the longest details, in pages
#: that are half full (two entries in one of 4 KiB), and as much again for the pages that readers
#: hold while a batch is written. The files only grow to what is used of it.
BYTES_AN_ENTRY = 5120

#: Bytes of the smallest map: a batch copies each page that it changes.
LEAST_MAP = 1 << 20

#: Seconds that a request to cancel waits for other processes that are writing.
CANCEL_TIMEOUT = 0.2

#: The version of the layout. It is in the directory's name, so that two versions can run side by
#: side.
LAYOUT = "v4"

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}").fullmatch


class LocalStore:
    """The entries of all processes of this user and machine that use the same ``name``.

    Raises `OptionError` if the name is not valid.
    """

    near = True

    def __init__(
        self,
        name: str | None = None,
        capacity: int = CAPACITY,
        lease: float = LEASE,
        map_size: int | None = None,
    ) -> None:
        if name is not None and _NAME(name) is None:
            takes = "local:NAME, with 1 to 64 of the characters A-Z a-z 0-9 _ . -"
            raise OptionError("store", f"local:{name}", takes)
        self._name = name
        with suppress(StoreError):  # which each use meets again, and reports
            self._name = name or default_name()
        self._capacity = capacity
        self._lease = _nanoseconds(lease)
        self._map_size = map_size or max(LEAST_MAP, capacity * BYTES_AN_ENTRY)
        self._health = Health(f"local:{self._name}" if self._name else "local")
        self._faults = FaultLog()
        self._walks = Walks(self._walk, self._read_totals)
        self._environment: Environment | None = None
        #: Tells the transfers of this process from those of all others.
        self._owner = ProcessNumber()
        renew_after_fork(self)

    def after_fork(self) -> None:
        """Forget which fault the parent has told of."""
        self._health.after_fork()

    def publish(self, batch: Sequence[Update], timeout: float = WRITE_TIMEOUT) -> PublishResult:
        """Write a batch; wait up to ``timeout`` seconds for other processes that are writing."""
        result = PublishResult()
        try:
            with self._open().writing(timeout) as transaction:
                now = time.monotonic_ns()
                self._sweep(transaction, now, SWEEP * (1 + len(batch)))
                for update in batch:
                    self._write(transaction, update, now, result)
        except FAULTS as error:
            if isinstance(error, StoreBusy) and timeout < WRITE_TIMEOUT:
                raise
            self._health.failed("publish", why(error))
            if isinstance(error, DAMAGED):
                # Each process publishes its entries again.
                with suppress(*FAULTS):
                    self._open().start_over()
            raise StoreError(why(error)) from error
        self._health.worked("publish", "lookup")  # what can be written can be read
        return result

    def lookup(self, identifier: str) -> Snapshot:
        """Return what is known of the id."""
        try:
            value = self._get_one(ENTRY + identifier.encode())
        except Exception:
            return self.lookup_many([identifier])[0]  # which tries again, and reports the fault
        self._health.worked("lookup")
        return UNKNOWN if value is None else _read(value, time.monotonic_ns())

    def lookup_many(self, identifiers: Sequence[str]) -> list[Snapshot]:
        """Return what is known of each id, in their order, read in one transaction."""
        try:
            keys = [ENTRY + identifier.encode() for identifier in identifiers]
            try:
                values = self._get_all(keys)
            except lmdb.Error:  # a fork may have closed the handle at this very moment
                values = self._get_all(keys)
        except FAULTS as error:
            self._health.failed("lookup", why(error))
        except Exception as error:
            self._faults.report("lookups are answered with unknown", error)
        else:
            self._health.worked("lookup")
            now = time.monotonic_ns()
            return [UNKNOWN if value is None else _read(value, now) for value in values]
        return [UNKNOWN] * len(identifiers)

    def ask_to_cancel(self, identifier: str) -> State:
        """Leave a request for the owner of a transfer, if it is running; return its state."""
        with store_errors(), self._open().writing(CANCEL_TIMEOUT) as transaction:
            now = time.monotonic_ns()
            value = transaction.get(ENTRY + identifier.encode()) or b""
            state = _read(value, now).state
            if state is State.RUNNING:
                requests.add(transaction, identifier, value[: _TOKEN.size], now)
            return state

    def to_cancel(self) -> list[ToCancel]:
        """Return the requests to cancel transfers of this process, and remove them."""
        with store_errors():
            with self._open().handle().begin() as transaction:
                found = requests.requests_to(self._owner.get(), transaction)
            if found:
                with self._open().writing(CANCEL_TIMEOUT) as transaction:
                    for request in found:
                        requests.remove(transaction, request)
            return found

    def page(self, query: Query) -> Future[Page]:
        """Return a future of a page of the entries."""
        return self._walks.page(query)

    def add_totals(self, totals: Totals) -> None:
        """Add to the totals, as `stores.totals.Counting` has it: a failed batch left nothing."""
        with store_errors(), self._open().writing(WRITE_TIMEOUT) as transaction:
            add(transaction, totals)

    def _read_totals(self) -> Totals:
        with store_errors():
            return Totals.decode(self._get_one(TOTALS))

    def troubles(self) -> list[str]:
        """Return what is wrong, as `stores.contract.Reporting` has it."""
        return ["the store cannot be read"] if self._health.fails("lookup") else []

    def _walk(self) -> Iterator[list[Row]]:
        """Yield all entries, in slices. Raises `StoreError`.

        Each slice is a transaction of its own: a long one would keep all pages that are written
        meanwhile.
        """
        key = ENTRY
        while True:
            with store_errors():
                found = self._slice(key)
            if not found:
                return
            now = time.monotonic_ns()
            rows = (
                (key[len(ENTRY) :].decode(), _read(value, now), value[_DETAILS:])
                for key, value in found
            )
            yield [row for row in rows if row[1] is not UNKNOWN]
            key = found[-1][0] + b"\0"

    def _slice(self, key: bytes) -> list[tuple[bytes, bytes]]:
        """Return the entries from a key on, up to `SLICE` of them."""
        with self._open().walking() as transaction:
            cursor = transaction.cursor()
            if not cursor.set_range(key):
                return []
            return list(takewhile(_is_entry, islice(cursor, SLICE)))

    def close(self) -> None:
        """Close the files, unless another store of this process uses them too."""
        self._environment = None

    def _open(self) -> Environment:
        if self._environment is None:
            stem = f"{self._name or default_name()}.{LAYOUT}"
            runtime = os.environ.get("XDG_RUNTIME_DIR")
            self._environment = shared(stem, runtime, self._map_size)
        return self._environment

    def _get_one(self, key: bytes) -> bytes | None:
        transaction = self._open().handle().begin()
        try:
            return transaction.get(key)
        finally:
            transaction.abort()  # takes a third less time than the context manager

    def _get_all(self, keys: list[bytes]) -> list[bytes | None]:
        transaction = self._open().handle().begin()
        try:
            return [transaction.get(key) for key in keys]
        finally:
            transaction.abort()

    def _write(
        self, transaction: lmdb.Transaction[bytes], update: Update, now: int, result: PublishResult
    ) -> None:
        identifier, start, snapshot, ttl, first, details = update
        token = _TOKEN.pack(start, self._owner.get())
        key = ENTRY + identifier.encode()
        running = snapshot.state is State.RUNNING
        keep = _nanoseconds(ttl)
        times = _TIMES.pack(now + (self._lease if running else keep), keep)
        value = token + times + encode(snapshot) + details
        stays = running or keep > 0
        # Written before the old value is checked, in one step, since most first updates find none.
        # If the old value is that of a later transfer, it is put back.
        held = transaction.replace(key, value) if stays else transaction.pop(key)
        if held is not None and held[: _TOKEN.size] > token and _expiry(held) > now:
            transaction.put(key, held)
            result.displaced.append(identifier)
        elif held is not None and first and _ended_by_lapse(held, now):
            _count_lapsed(transaction, [held])
        elif held is None and stays:
            transaction.put(_index(identifier.encode(), _expiry(value)), b"")
            result.emptied |= not first

    def _sweep(self, transaction: lmdb.Transaction[bytes], now: int, steps: int) -> None:
        """Walk over ``steps`` entries of the index, from its oldest.

        Expired entries are removed; so are finished ones while there are more than the capacity.
        The others move to their present expiry.
        """
        surplus = transaction.stat()["entries"] // 2 - self._capacity
        lapsed_ones = []
        cursor = transaction.cursor()
        found = cursor.set_range(INDEX)
        while found and steps > 0:
            position = cursor.key()
            if not position.startswith(INDEX):
                break
            if surplus <= 0 and _TIME.unpack_from(position, len(INDEX))[0] > now:
                break
            identifier = position[_ID_IN_INDEX:]
            value = transaction.get(ENTRY + identifier)
            if value is not None and _stays(value, now, surplus):
                transaction.delete(position)
                transaction.put(_index(identifier, _expiry(value)), b"")
            else:
                transaction.delete(position)
                transaction.delete(ENTRY + identifier)
                surplus -= 1
                if value is not None and _ended_by_lapse(value, now):
                    lapsed_ones.append(value)
            found = cursor.set_range(position + b"\0")
            steps -= 1
        if lapsed_ones:
            _count_lapsed(transaction, lapsed_ones)


def _ended_by_lapse(value: bytes, now: int) -> bool:
    """Whether the owner of a running entry has not renewed it."""
    return (
        _expiry(value) > 0 and _running(value) and _TIMES.unpack_from(value, _TOKEN.size)[0] <= now
    )


def _count_lapsed(transaction: lmdb.Transaction[bytes], values: Sequence[bytes]) -> None:
    """Count entries that are removed and whose owner died: it cannot count them any more."""
    totals = Totals()
    for value in values:
        start, _ = _TOKEN.unpack_from(value)
        deadline, _ = _TIMES.unpack_from(value, _TOKEN.size)
        totals.count_end(lapsed(decode(value, _RECORD)), (deadline - start) / 1e9)
    add(transaction, totals)


def _nanoseconds(seconds: float) -> int:
    return round((seconds if seconds < MAX_TTL else MAX_TTL) * 1e9)


def _index(identifier: bytes, expiry: int) -> bytes:
    return INDEX + _TIME.pack(expiry) + identifier


def _is_entry(item: tuple[bytes, bytes]) -> bool:
    return item[0].startswith(ENTRY)


def _running(value: bytes) -> bool:
    return decode_state(value, _RECORD) is State.RUNNING


def _expiry(value: bytes) -> int:
    """Return the time from which on the entry reads as unknown; 0 if it is not an entry."""
    state = decode_state(value, _RECORD)
    if len(value) < _DETAILS or state is State.UNKNOWN:
        return 0
    deadline: int
    ttl: int
    deadline, ttl = _TIMES.unpack_from(value, _TOKEN.size)
    return deadline + ttl if state is State.RUNNING else deadline


def _stays(value: bytes, now: int, surplus: int) -> bool:
    return _expiry(value) > now and (surplus <= 0 or _running(value))


@lru_cache(1024)
def _decode(value: bytes) -> tuple[int, int, Snapshot]:
    """Return deadline, ttl and snapshot. Cached: whoever polls reads the same value for a while."""
    if len(value) < _DETAILS:
        return 0, 0, UNKNOWN
    deadline, ttl = _TIMES.unpack_from(value, _TOKEN.size)
    return deadline, ttl, decode(value, _RECORD)


def _read(value: bytes, now: int) -> Snapshot:
    deadline, ttl, snapshot = _decode(value[:_DETAILS])
    if now < deadline:
        return snapshot
    if snapshot.state is State.RUNNING and now < deadline + ttl:
        return lapsed(snapshot)
    return UNKNOWN
