"""The store of many machines: Redis or Valkey, one server or a cluster.

There is one key for each id. Only the server's clock counts: the key of a running entry lives for
its lease and then its ttl, so the time that it has left tells whether its owner still renews it.
Nothing needs to be swept.
"""

from __future__ import annotations

import os
import struct
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import Future
from itertools import islice

from mod_progress.fork import renew_after_fork
from mod_progress.identifier import check_identifier
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
from mod_progress.stores.record import SIZE, decode, encode
from mod_progress.stores.redis.client import Client, Script
from mod_progress.stores.redis.lookups import LookupBatcher
from mod_progress.stores.walks import SLICE, Walks
from mod_progress.transfer import UNKNOWN, Snapshot, State

__all__ = ["RedisStore"]

#: What each key begins with. It has the version of the layout, so that two versions can use one
#: server side by side.
PREFIX = b"mod_progress:v2:"

_TOKEN = struct.Struct(">QQ")
#: What only Python reads: the ttl in milliseconds, the record, and the transfer's details.
_TTL = struct.Struct(">Q")
_TTL_AT = 48
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

#: A lookup needs no details; a listing does.
_LOOKUP = Script(_FETCH % _DETAILS_AT)
_ENTRIES = Script(_FETCH % -1)


class RedisStore:
    """The entries of all processes that use this server or cluster.

    Raises `OptionError` if the URL is not valid.
    """

    near = False

    def __init__(self, url: str, lease: float = LEASE) -> None:
        self._url = url
        self._lease = _milliseconds(lease)
        self._client = Client(url)
        self._owner = int.from_bytes(os.urandom(8))
        self._health = Health(self._client.name)
        self._walks = Walks(self._walk)
        self._lookups = LookupBatcher(self._fetch, self._health)
        renew_after_fork(self)

    def after_fork(self) -> None:
        """Take a new owner's name and new connections: the old ones are the parent's."""
        self._client = Client(self._url)
        self._owner = int.from_bytes(os.urandom(8))
        self._health.after_fork()

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

    def page(self, query: Query) -> Future[Page]:
        """Return a future of a page of the entries."""
        return self._walks.page(query)

    def close(self) -> None:
        """Close the connections; the next use opens new ones."""
        self._lookups.close()
        self._client.close()

    def _arguments(self, update: Update, now: int) -> tuple[bytes | int, ...]:
        _, start, snapshot, ttl, first, details = update
        keep = _milliseconds(ttl)
        value = b"%016d" % (now // 1000) + _TTL.pack(keep) + encode(snapshot) + details
        life = keep + self._lease if snapshot.state is State.RUNNING else keep
        return _TOKEN.pack(start, self._owner), (now - start) // 1000, int(first), value, life

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
            rows = zip(identifiers, self._read_all(_ENTRIES, identifiers), strict=True)
            yield [
                (identifier, snapshot, value[_DETAILS_AT:])
                for identifier, (snapshot, value) in rows
                if snapshot is not UNKNOWN
            ]


def _key(identifier: str) -> bytes:
    return PREFIX + identifier.encode()


def _milliseconds(seconds: float) -> int:
    return round((seconds if seconds < MAX_TTL else MAX_TTL) * 1e3)


def _read(value: bytes | None, left: int) -> Snapshot:
    if value is None:
        return UNKNOWN
    (ttl,) = _TTL.unpack_from(value, _TTL_AT)
    snapshot = decode(value, _RECORD_AT)
    if snapshot.state is State.RUNNING and left <= ttl:
        return lapsed(snapshot)
    return snapshot
