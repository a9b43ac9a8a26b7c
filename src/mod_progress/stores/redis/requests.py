"""Requests to cancel a transfer, as processes leave them for its owner in Redis.

Each owner has a key, whose hash has a field for each request: the transfer's token, which has its
start and its owner, and its id.
"""

from __future__ import annotations

import struct

from mod_progress.stores.cancelling import KEPT, ToCancel
from mod_progress.stores.redis.client import Client, Script

__all__ = ["ask", "take"]

#: The start and the owner of a transfer.
_TOKEN = struct.Struct(">QQ")

#: Leaves a request; the arguments are its field, and for how many milliseconds to keep the key.
_ASK = Script(
    """
redis.call('HSET', KEYS[1], ARGV[1], '')
return redis.call('PEXPIRE', KEYS[1], ARGV[2])
"""
)

#: Takes the requests of an owner.
_TAKE = Script(
    """
local found = redis.call('HKEYS', KEYS[1])
if #found > 0 then
  redis.call('DEL', KEYS[1])
end
return found
"""
)


def ask(client: Client, prefix: bytes, token: bytes, identifier: str) -> None:
    """Leave a request for the owner of a transfer. Raises `StoreError`."""
    _, owner = _TOKEN.unpack(token)
    field = token + identifier.encode()
    client.run(_ASK, [_key(prefix, owner)], [(field, round(KEPT * 1000))])


def take(client: Client, prefix: bytes, owner: int) -> list[ToCancel]:
    """Return the requests that are left for an owner, and remove them. Raises `StoreError`."""
    ((_, found),) = client.run(_TAKE, [_key(prefix, owner)])
    return [ToCancel(each[_TOKEN.size :].decode(), _TOKEN.unpack_from(each)[0]) for each in found]


def _key(prefix: bytes, owner: int) -> bytes:
    """Return the key of an owner. It is that of no entry, as no id has a space."""
    return prefix + b" cancel %016x" % owner
