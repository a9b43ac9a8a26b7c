"""How stores write a Snapshot as bytes."""

from __future__ import annotations

import struct

from mod_progress.transfer import Snapshot, State

__all__ = ["SIZE", "decode", "decode_state", "encode"]

_STATES = tuple(State)
_CODES = {state: code for code, state in enumerate(_STATES)}

#: The state, the four counters in the order of Snapshot, the status.
_LAYOUT = struct.Struct(">BQQqQH")

#: Bytes of a record.
SIZE = _LAYOUT.size

#: Stands for a request size that nobody knows, since no size is negative.
_NO_SIZE = -1


def encode(snapshot: Snapshot) -> bytes:
    """Return the record of a snapshot: `SIZE` bytes, which `decode` reads."""
    state, received, sent, request_size, response_size, status = snapshot
    if request_size is None:
        request_size = _NO_SIZE
    return _LAYOUT.pack(_CODES[state], received, sent, request_size, response_size, status)


def decode(record: bytes, offset: int = 0) -> Snapshot:
    """Return the snapshot of the record that begins at ``offset``."""
    code, received, sent, size, response_size, status = _LAYOUT.unpack_from(record, offset)
    return Snapshot(
        _STATES[code], received, sent, None if size == _NO_SIZE else size, response_size, status
    )


def decode_state(record: bytes, offset: int = 0) -> State:
    """Return only the state of the record that begins at ``offset``."""
    return _STATES[record[offset]]
