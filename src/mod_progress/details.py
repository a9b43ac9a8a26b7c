"""What a listing says of a transfer beside its numbers: the request and its client."""

from __future__ import annotations

import struct
from typing import NamedTuple

from mod_progress.identifier import obscure_in_path

__all__ = ["MOST_BYTES", "MOST_PATH", "NO_DETAILS", "Details", "decode", "encode"]

#: Bytes of UTF-8 that are kept of each text. The longest method that is tracked has 16, the longest
#: IPv6 address with a zone 62.
MOST_METHOD = 32
MOST_PEER = 64
MOST_PATH = 512

#: The bytes of the method and of the peer. The path comes last.
_LAYOUT = struct.Struct(">BB")

#: The most bytes of a record.
MOST_BYTES = _LAYOUT.size + MOST_METHOD + MOST_PEER + MOST_PATH


class Details(NamedTuple):
    """The request of a transfer. It has no query, as many a query holds a secret."""

    method: str = ""
    #: The path as the front has it; an id in it may be whole.
    path: str = ""
    #: The client's address, as the front knows it; empty where it does not.
    peer: str = ""


NO_DETAILS = Details()


def encode(details: Details, identifier: str) -> bytes:
    """Return the record of the details: up to `MOST_BYTES`, which `decode` reads.

    Texts that are too long are cut, and so are ids in the path; ``identifier`` is the transfer's.
    It never raises: what is no text is left out.
    """
    method, path, peer = details
    called = _bound(_utf8(method), MOST_METHOD)
    address = _bound(_utf8(peer), MOST_PEER)
    head = _LAYOUT.pack(len(called), len(address))
    shown = obscure_in_path(_utf8(path), identifier)
    return head + called + address + _bound(shown, MOST_PATH)


def decode(record: bytes, offset: int = 0) -> Details:
    """Return the details whose record begins at ``offset``; `NO_DETAILS` if there is none."""
    try:
        method, peer = _LAYOUT.unpack_from(record, offset)
    except struct.error:
        return NO_DETAILS
    begin = offset + _LAYOUT.size
    middle = begin + method
    end = middle + peer
    return Details(
        record[begin:middle].decode("utf-8", "replace"),
        record[end:].decode("utf-8", "replace"),
        record[middle:end].decode("utf-8", "replace"),
    )


def _utf8(text: object) -> bytes:
    return text.encode("utf-8", "replace") if isinstance(text, str) else b""


def _bound(text: bytes, most: int) -> bytes:
    """Return the text, cut between two characters where it is longer than ``most``."""
    return text if len(text) <= most else text[:most].decode("utf-8", "ignore").encode()
