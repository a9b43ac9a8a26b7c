"""The head of a request in the uwsgi protocol, version 0, for a WSGI app; no I/O."""

from __future__ import annotations

import struct
from collections.abc import Iterable

from mod_progress.gateway.http.heads import Refusal

#: Bytes of the longest block of variables: its size has 16 bits.
_LONGEST = 0xFFFF


def uwsgi_head(variables: Iterable[tuple[bytes, bytes]]) -> bytes:
    """Serialise the variables; raises `Refusal` (431) where they do not fit."""
    block = b"".join(
        b"%b%b%b%b" % (_size(name), name, _size(value), value) for name, value in variables
    )
    return b"\0%b\0%b" % (_size(block), block)


def _size(text: bytes) -> bytes:
    if len(text) > _LONGEST:
        raise Refusal(431, "the head is too large for the backend's protocol")
    return struct.pack("<H", len(text))
