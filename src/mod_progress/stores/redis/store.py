"""The store of many machines: Redis or Valkey, one server or a cluster.

There is one key for each id. Only the server's clock counts: the key of a running entry lives for
its lease and then its ttl, so the time that it has left tells whether its owner still renews it.
Nothing needs to be swept.
"""

from __future__ import annotations

import struct
import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from itertools import islice

from mod_progress.fork import ProcessNumber, renew_after_fork
from mod_progress.identifier import check_identifier
from mod_progress.stores.cancelling import ToCancel
from mod_progress.stores.contract import (
    LEASE,
    MAX_TTL,
    WRITE_TIMEOUT,
    PublishResult,
    StoreError,
    Update,
    lapsed,
)
from mod_progress.stores.health import Health
from mod_progress.stores.listing import Page, Query, Row
from mod_progress.stores.record import SIZE, decode, decode_state, encode
from mod_progress.stores.redis import requests
from mod_progress.stores.redis.client import Client, Script
from mod_progress.stores.redis.lookups import LookupBatcher
from mod_progress.stores.totals import FIELDS, Totals
from mod_progress.stores.walks import SLICE, Walks
from mod_progress.transfer import UNKNOWN, Snapshot, State

__all__ = ["RedisStore"]

#: What each key begins with. It has the version of the layout, so that two versions can use one
#: server side by side.
PREFIX = b"mod_progress:v3:"

#: The key of the totals, a hash. The braces keep it in one slot of a cluster with the keys that say
#: what each process added last.
TOTALS = b"mod_progress:{totals}:v1"

#: Milliseconds for which that is known: longer than a process tries to add the same again.
_KNOWN = 86_400_000

_TOKEN = struct.Struct(">QQ")
#: What only Python reads: the ttl in milliseconds, the record, and the transfer's details.
_TTL = struct.Struct(">Q")
_TOKEN_AT = 16
_TIME_AT = _TOKEN_AT + _TOKEN.size
_TTL_AT = _TIME_AT + 16
_RECORD_AT = _TTL_AT + _TTL.size
_DETAILS_AT = _RECORD_AT + SIZE

#: Reads a key. What another program wrote there, of another type or too short, is no entry.
_READ = f"""
local function read(key)
  local value = redis.pcall('GET', key)
  return type(value) == 'string' and #value >= {_DETAILS_AT} and value
end
"""

#: Writes entries. A value is the start by the server's clock (16 digits of microseconds), the
#: transfer's token (16 bytes), the time of the update by its owner's clock (16 digits), and what
#: only Python reads. A transfer's first update displaces an older transfer. A later update
#: displaces none, so that the transfer that lost the id learns of it. An update that arrives after
#: a newer one changes nothing: the server may have been frozen, or it came by a connection that its
#: owner gave up. The arguments for each key: the token, the transfer's age in microseconds, whether
#: this is its first update, the value from the third part on, and how many milliseconds to keep it.
#: The answer: whether a later update found no entry, and then the places of the displaced.
_PUBLISH = Script(
    _READ
    + """
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local answer = {0}
for i, key in ipairs(KEYS) do
  local token, age, first, rest, keep = unpack(ARGV, 5 * i - 4, 5 * i)
  local start = string.format('%016.0f', now - age)
  local held = read(key)
  local mine = held and string.sub(held, 17, 32) == token
  if mine then
    start = string.sub(held, 1, 16)
  end
  if held and not mine and (first == '0' or string.sub(held, 1, 16) > start) then
    answer[#answer + 1] = i
  elseif mine and string.sub(held, 33, 48) > string.sub(rest, 1, 16) then
    -- a newer update arrived before
  elseif tonumber(keep) > 0 then
    redis.call('SET', key, start .. token .. rest, 'PX', keep)
    if not held and first == '0' then
      answer[1] = 1
    end
  else
    redis.call('DEL', key)
  end
end
return answer
"""
)

#: Reads entries: for each key its value up to some byte, and how many milliseconds it has left.
_FETCH = (
    _READ
    + """
local found = {}
for i, key in ipairs(KEYS) do
  local value = read(key)
  found[2 * i - 1] = value and string.sub(value, 1, %d)
  found[2 * i] = redis.call('PTTL', key)
end
return found
"""
)

#: Adds to the totals, unless the process has added the same before and the answer was lost. The
#: arguments: a mark of what is added, for how many milliseconds to know it, and pairs of a field
#: and a number.
_ADD = Script(
    """
if redis.call('GET', KEYS[2]) == ARGV[1] then
  return 0
end
for i = 3, #ARGV, 2 do
  redis.call('HINCRBY', KEYS[1], ARGV[i], ARGV[i + 1])
end
redis.call('SET', KEYS[2], ARGV[1], 'PX', ARGV[2])
return 1
"""
)

_TOTALS = Script("return redis.call('HGETALL', KEYS[1])")

#: Replaces values, unless they have changed meanwhile or are renewed. The arguments for each key:
#: the value, what replaces it, and how many milliseconds it may have left at most. The answer: the
#: places of those that were replaced.
_SETTLE = Script(
    _READ
    + """
local settled = {}
for i, key in ipairs(KEYS) do
  local left = redis.call('PTTL', key)
  local held, other, most = unpack(ARGV, 3 * i - 2, 3 * i)
  if left > 0 and left <= tonumber(most) and read(key) == held then
    redis.call('SET', key, other, 'PX', left)
    settled[#settled + 1] = i
  end
end
return settled
"""
)

#: A lookup needs no details; a listing does.
_LOOKUP = Script(_FETCH % _DETAILS_AT)
_ENTRIES = Script(_FETCH % -1)

#: Seconds between two questions of a process for requests to cancel its transfers: a round trip.
ASK_INTERVAL = 0.5


class RedisStore:
    """The entries of all processes that use this server or cluster.

    Raises `OptionError` if the URL is not valid.
    """

    near = False

    def __init__(self, url: str, lease: float = LEASE) -> None:
        self._url = url
        self._lease = _milliseconds(lease)
        self._client = Client(url)
        #: Tells the transfers of this process from those of all others.
        self._owner = ProcessNumber()
        self._health = Health(self._client.name)
        self._walks = Walks(self._walk, self._read_totals)
        self._lookups = LookupBatcher(self._fetch, self._health)
        self._start_over()
        renew_after_fork(self)

    def after_fork(self) -> None:
        """Take new connections: the old ones are the parent's."""
        self._client = Client(self._url)
        self._health.after_fork()
        self._start_over()

    def _start_over(self) -> None:
        #: Asks owners to cancel transfers, one after the other.
        self._asking: ThreadPoolExecutor | None = None
        self._starting = threading.Lock()
        self._next_question = 0.0

    def publish(self, batch: Sequence[Update], timeout: float = WRITE_TIMEOUT) -> PublishResult:
        """Write a batch; the server makes nobody wait for other processes."""
        now = time.monotonic_ns()
        result = PublishResult()
        try:
            answers = self._client.run(
                _PUBLISH,
                [_key(update.identifier) for update in batch],
                [self._arguments(update, now) for update in batch],
            )
        except StoreError as error:
            self._health.failed("publish", str(error))
            raise
        self._health.worked("publish")
        for first, (emptied, *places) in answers:
            result.emptied |= bool(emptied)
            # Lua counts from one.
            result.displaced += [batch[first + place - 1].identifier for place in places]
        return result

    def lookup(self, identifier: str) -> Snapshot | Future[Snapshot]:
        """Return a future that is done within a second; `UNKNOWN` at once after a failure."""
        return self._lookups.lookup(identifier)

    def lookup_many(self, identifiers: Sequence[str]) -> list[Snapshot] | Future[list[Snapshot]]:
        """Return a future of what is known of each id, in their order, as `lookup` does."""
        return self._lookups.lookup_many(identifiers)

    def ask_to_cancel(self, identifier: str) -> Future[State]:
        """Leave a request for the owner of a transfer, if it is running: a future of its state."""
        with self._starting:
            if self._asking is None:
                name = "mod_progress cancel"
                self._asking = ThreadPoolExecutor(1, thread_name_prefix=name)
            return self._asking.submit(self._ask_owner, identifier)

    def _ask_owner(self, identifier: str) -> State:
        ((snapshot, value),) = self._read_all(_LOOKUP, [identifier])
        if snapshot.state is State.RUNNING:
            token = value[_TOKEN_AT : _TOKEN_AT + _TOKEN.size]
            requests.ask(self._client, PREFIX, token, identifier)
        return snapshot.state

    def to_cancel(self) -> list[ToCancel]:
        """Return the requests to cancel transfers of this process, and remove them."""
        now = time.monotonic()
        if now < self._next_question:
            return []
        self._next_question = now + ASK_INTERVAL
        return requests.take(self._client, PREFIX, self._owner.get())

    def page(self, query: Query) -> Future[Page]:
        """Return a future of a page of the entries."""
        return self._walks.page(query)

    def close(self) -> None:
        """Close the connections; the next use opens new ones."""
        self._lookups.close()
        with self._starting:
            asking, self._asking = self._asking, None
        if asking is not None:
            asking.shutdown(wait=False)
        self._client.close()

    def _arguments(self, update: Update, now: int) -> tuple[bytes | int, ...]:
        _, start, snapshot, ttl, first, details = update
        keep = _milliseconds(ttl)
        value = b"%016d" % (now // 1000) + _TTL.pack(keep) + encode(snapshot) + details
        life = keep + self._lease if snapshot.state is State.RUNNING else keep
        return _TOKEN.pack(start, self._owner.get()), (now - start) // 1000, int(first), value, life

    def _fetch(self, identifiers: Sequence[str]) -> list[Snapshot]:
        return [snapshot for snapshot, _ in self._read_all(_LOOKUP, identifiers)]

    def _read_all(self, script: Script, identifiers: Sequence[str]) -> list[tuple[Snapshot, bytes]]:
        """Return the snapshot of each id, and the value that has it."""
        answers = self._client.run(script, [_key(identifier) for identifier in identifiers])
        return [
            (_read(value, left), value or b"")
            for _, found in answers
            for value, left in zip(found[::2], found[1::2], strict=True)
        ]

    def add_totals(self, totals: Totals) -> None:
        """Add to the totals, as `stores.totals.Counting` has it."""
        self._add(totals, b"%016x" % self._owner.get())

    def _add(self, totals: Totals, who: bytes) -> None:
        pairs = [
            part
            for field, number in zip(FIELDS, totals.numbers, strict=True)
            if number > 0
            for part in (field, number)
        ]
        keys = [TOTALS, b"%b:%b" % (TOTALS, who)]
        self._client.call(_ADD, keys, [totals.mark, _KNOWN, *pairs])

    def _read_totals(self) -> Totals:
        found = self._client.call(_TOTALS, [TOTALS])
        return Totals.named(
            {
                name.decode(): int(number)
                for name, number in zip(found[::2], found[1::2], strict=True)
            }
        )

    def troubles(self) -> list[str]:
        """Return what is wrong, as `stores.contract.Reporting` has it."""
        return self._lookups.troubles() or (
            ["the store cannot be read"] if self._health.fails("lookup") else []
        )

    def _walk(self) -> Iterator[list[Row]]:
        """Yield all entries, in slices. Raises `StoreError`."""
        # A walk over the keys may meet one twice, when the server resizes its table meanwhile.
        seen: set[bytes] = set()
        keys = self._client.keys(PREFIX)
        while batch := list(islice(keys, SLICE)):
            new = [key for key in dict.fromkeys(batch) if key not in seen]
            found = (check_identifier(key[len(PREFIX) :]) for key in new)
            identifiers = [identifier for identifier in found if identifier is not None]
            seen.update(new)
            found_here = self._read_all(_ENTRIES, identifiers)
            rows = [
                (identifier, snapshot, value)
                for identifier, (snapshot, value) in zip(identifiers, found_here, strict=True)
                if snapshot is not UNKNOWN
            ]
            with suppress(StoreError):  # where this is not permitted, they are listed all the same
                self._count_lapsed([row for row in rows if row[1].state is State.ERROR])
            yield [
                (identifier, snapshot, value[_DETAILS_AT:]) for identifier, snapshot, value in rows
            ]

    def _count_lapsed(self, errors: Sequence[Row]) -> None:
        """Count transfers whose process died, and write their ends, so that each counts once.

        The server lets their keys expire and tells nobody, so a walk has to find them before. It
        leaves them alone for a while: after an outage their processes may renew them all.
        """
        found = [row for row in errors if decode_state(row[2], _RECORD_AT) is State.RUNNING]
        if not found:
            return
        totals = Totals()
        keys = [_key(identifier) for identifier, _, _ in found]
        for first, places in self._client.run(
            _SETTLE, keys, [self._settled(*row) for row in found]
        ):
            for place in places:
                _, snapshot, value = found[first + place - 1]
                totals.count_end(snapshot, _age(value))
        if totals:
            self._add(totals, b"%016x-lapsed" % self._owner.get())

    def _settled(self, _: str, snapshot: Snapshot, value: bytes) -> tuple[bytes, bytes, int]:
        """Return the arguments of `_SETTLE` for an entry."""
        (ttl,) = _TTL.unpack_from(value, _TTL_AT)
        settled = value[:_RECORD_AT] + encode(snapshot) + value[_DETAILS_AT:]
        return value, settled, max(ttl - self._lease, ttl // 2)


def _key(identifier: str) -> bytes:
    return PREFIX + identifier.encode()


def _milliseconds(seconds: float) -> int:
    return round((seconds if seconds < MAX_TTL else MAX_TTL) * 1e3)


def _age(value: bytes) -> float:
    """Return how many seconds an entry's transfer had run when its owner wrote it last."""
    start, _ = _TOKEN.unpack_from(value, _TOKEN_AT)
    updated = value[_TIME_AT:_TTL_AT]
    return int(updated) / 1e6 - start / 1e9 if updated.isdigit() else 0.0


def _read(value: bytes | None, left: int) -> Snapshot:
    if value is None:
        return UNKNOWN
    (ttl,) = _TTL.unpack_from(value, _TTL_AT)
    snapshot = decode(value, _RECORD_AT)
    if snapshot.state is State.RUNNING and left <= ttl:
        return lapsed(snapshot)
    return snapshot
