"""The bytes of a Snapshot."""

from __future__ import annotations

import struct

from mod_progress.transfer import Snapshot, State

_STATES = tuple(State)
_CODES = {state: code for code, state in enumerate(_STATES)}

#: The state, the four counters in the order of Snapshot, the status.
_LAYOUT = struct.Struct(">BQQqQH")

SIZE = _LAYOUT.size

#: No size is negative, so this one says that nobody knows it.
_NO_SIZE = -1


def encode(snapshot: Snapshot) -> bytes:
    """Return `SIZE` bytes that `decode` takes back."""
    state, received, sent, request_size, response_size, status = snapshot
    if request_size is None:
        request_size = _NO_SIZE
    return _LAYOUT.pack(_CODES[state], received, sent, request_size, response_size, status)


def decode(record: bytes, offset: int = 0) -> Snapshot:
    """Return the Snapshot that lies at ``offset``."""
    code, received, sent, size, response_size, status = _LAYOUT.unpack_from(record, offset)
    return Snapshot(
        _STATES[code], received, sent, None if size == _NO_SIZE else size, response_size, status
    )


def decode_state(record: bytes, offset: int = 0) -> State:
    """Return the state alone of the Snapshot that lies at ``offset``."""
    return _STATES[record[offset]]
