"""The records of FastCGI, written and read by the specification alone, for tests."""

from __future__ import annotations

import struct
from typing import NamedTuple

from tests.gateway.backend import Peer

BEGIN_REQUEST, ABORT_REQUEST, END_REQUEST, PARAMS, STDIN, STDOUT, STDERR = range(1, 8)
GET_VALUES_RESULT, UNKNOWN_TYPE = 10, 11


class Record(NamedTuple):
    """One record, without its padding."""

    kind: int
    request: int
    content: bytes


def record(kind: int, content: bytes = b"", padding: int = 0, request: int = 1) -> bytes:
    header = struct.pack(">BBHHBB", 1, kind, request, len(content), padding, 0)
    return header + content + b"\xff" * padding


def stdout(data: bytes, padding: int = 0) -> bytes:
    return record(STDOUT, data, padding)


def end(status: int = 0, padding: int = 0, exit_code: int = 0) -> bytes:
    return record(END_REQUEST, struct.pack(">LBBH", exit_code, status, 0, 0), padding)


def take_record(peer: Peer) -> Record:
    """Read the next record that the gateway sent."""
    version, kind, request, size, padding, reserved = struct.unpack(">BBHHBB", peer.take(8))
    assert (version, reserved) == (1, 0)
    content = peer.take(size)
    peer.take(padding)
    return Record(kind, request, content)


def pairs(content: bytes) -> list[tuple[bytes, bytes]]:
    """Return the name-value pairs of a stream of parameters."""
    found = []
    at = 0
    while at < len(content):
        sizes = []
        for _ in range(2):
            long = content[at] >> 7
            sizes.append(int.from_bytes(content[at : at + 4]) & 0x7FFFFFFF if long else content[at])
            at += 4 if long else 1
        name, value = content[at : at + sizes[0]], content[at + sizes[0] : at + sum(sizes)]
        found.append((name, value))
        at += sum(sizes)
    assert at == len(content)
    return found


class FastCgiRequest(NamedTuple):
    """One whole request."""

    keep: bool
    variables: dict[str, str]
    body: bytes


def take_head(peer: Peer) -> FastCgiRequest:
    """Read a request up to its body."""
    begin = take_record(peer)
    assert begin[:2] == (BEGIN_REQUEST, 1)
    role, flags = struct.unpack(">HB5x", begin.content)
    assert role == 1
    content = b""
    while piece := take_stream(peer, PARAMS):
        content += piece
    variables = {name.decode(): value.decode("latin-1") for name, value in pairs(content)}
    assert len(variables) == len(pairs(content)), "a variable is repeated"
    return FastCgiRequest(bool(flags), variables, b"")


def take_stream(peer: Peer, kind: int) -> bytes:
    """Read the next piece of a stream; it is empty at its end."""
    found = take_record(peer)
    assert found[:2] == (kind, 1), found
    return found.content


def take_request(peer: Peer) -> FastCgiRequest:
    """Read a whole request."""
    request = take_head(peer)
    body = b""
    while piece := take_stream(peer, STDIN):
        body += piece
    return request._replace(body=body)
