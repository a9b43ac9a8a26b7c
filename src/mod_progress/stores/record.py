"""How stores write a Snapshot as bytes."""

from __future__ import annotations

import struct

from mod_progress.transfer import UNKNOWN, Snapshot, State

__all__ = ["MAX_COUNT", "MAX_SIZE", "MAX_STATUS", "SIZE", "decode", "decode_state", "encode"]

_STATES = tuple(State)
_CODES = {state: code for code, state in enumerate(_STATES)}

#: The state, the four counters in the order of Snapshot, the status, and the times.
_LAYOUT = struct.Struct(">BQQqQHQQ")

#: Bytes of a record.
SIZE = _LAYOUT.size

#: The largest numbers that fit. Larger ones, which only a false header claims, become these.
MAX_COUNT = 2**64 - 1
MAX_SIZE = 2**63 - 1
MAX_STATUS = 2**16 - 1

#: Stands for a request size that nobody knows, since no size is negative.
_NO_SIZE = -1


def encode(snapshot: Snapshot) -> bytes:
    """Return the record of a snapshot: `SIZE` bytes, which `decode` reads.

    A number that does not fit is replaced by the nearest one that does. Raises `struct.error`,
    TypeError or KeyError if the snapshot holds something else than a state and whole numbers.
    """
    state, received, sent, request_size, response_size, status, started, ended = snapshot
    if request_size is None:
        request_size = _NO_SIZE
    try:
        return _LAYOUT.pack(
            _CODES[state], received, sent, request_size, response_size, status, started, ended
        )
    except struct.error:
        return _LAYOUT.pack(
            _CODES[state],
            _bound(received, MAX_COUNT),
            _bound(sent, MAX_COUNT),
            request_size if request_size == _NO_SIZE else _bound(request_size, MAX_SIZE),
            _bound(response_size, MAX_COUNT),
            _bound(status, MAX_STATUS),
            _bound(started, MAX_COUNT),
            _bound(ended, MAX_COUNT),
        )


def decode(record: bytes, offset: int = 0) -> Snapshot:
    """Return the snapshot of the record that begins at ``offset``; `UNKNOWN` if there is none."""
    try:
        found = _LAYOUT.unpack_from(record, offset)
        code, received, sent, size, response_size, status, started, ended = found
        state = _STATES[code]
    except (struct.error, IndexError):
        return UNKNOWN
    return Snapshot(
        state,
        received,
        sent,
        None if size == _NO_SIZE else size,
        response_size,
        status,
        started,
        ended,
    )


def decode_state(record: bytes, offset: int = 0) -> State:
    """Return only the state of the record that begins at ``offset``, as `decode` does."""
    try:
        return _STATES[record[offset]]
    except IndexError:
        return State.UNKNOWN


def _bound(number: int, most: int) -> int:
    return min(max(number, 0), most)
