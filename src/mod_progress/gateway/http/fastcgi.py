"""The records of FastCGI 1.0, as a web server writes and reads them; no I/O.

One request at a time goes over a connection: its id is always 1. The numbers in brackets are the
sections of the FastCGI specification.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator
from enum import IntEnum

from mod_progress.gateway.http.heads import Refusal

# The types of records [8].
_BEGIN_REQUEST, _ABORT_REQUEST, _END_REQUEST, _PARAMS, _STDIN, _STDOUT, _STDERR = range(1, 8)
_GET_VALUES_RESULT, _UNKNOWN_TYPE = 10, 11

# The types of records that an application sends, and the ids that they have.
_ID = 1
_EXPECTED = {(kind, _ID) for kind in (_END_REQUEST, _STDOUT, _STDERR)}
_EXPECTED |= {(kind, 0) for kind in (_GET_VALUES_RESULT, _UNKNOWN_TYPE)}

# Version, type, request id, length of the content, length of the padding, reserved [3.3].
_HEADER = struct.Struct(">BBHHBx")
# A length above 127 [3.4].
_LONG = struct.Struct(">L")
# Application status, protocol status, reserved [5.5].
_END = struct.Struct(">LB3x")

#: Bytes of the longest content that is sent. 65,535 fit; PHP takes no parameters beyond 65,528.
LONGEST_CONTENT = 65_528

#: Records of one `RecordDecoder.feed`: at most 2 ms, so that a stream of tiny records keeps nobody
#: else waiting.
_MOST_RECORDS = 2 * 1024


class ProtocolStatus(IntEnum):
    """How the application ended a request [5.5]."""

    REQUEST_COMPLETE = 0
    CANT_MPX_CONN = 1
    OVERLOADED = 2
    UNKNOWN_ROLE = 3


def _record(kind: int, content: bytes = b"") -> bytes:
    return _HEADER.pack(1, kind, _ID, len(content), 0) + content


#: Tells the application that nobody waits for its answer [5.4].
ABORT_REQUEST = _record(_ABORT_REQUEST)

#: Ends the request's body [3.3]: a record of a stream without content.
STDIN_END = _record(_STDIN)


def begin_request(keep: bool) -> bytes:
    """Begin a request in the role of a responder; with ``keep`` the connection stays [5.1]."""
    return _record(_BEGIN_REQUEST, struct.pack(">HB5x", 1, keep))


def params(variables: Iterable[tuple[bytes, bytes]]) -> bytes:
    """Serialise the variables as a whole stream [5.2].

    A pair is in one record, if it fits: PHP reads each record by itself.
    """
    records: list[bytes] = []
    pairs: list[bytes] = []
    size = 0
    for name, value in variables:
        pair = b"%b%b%b" % (_lengths(name, value), name, value)
        if size + len(pair) > LONGEST_CONTENT:
            records += _params(b"".join(pairs))
            pairs, size = [], 0
        pairs.append(pair)
        size += len(pair)
    return b"".join((*records, *_params(b"".join(pairs)), _record(_PARAMS)))


def _lengths(*texts: bytes) -> bytes:
    """Return the lengths of a name and a value [3.4]."""
    sizes = [len(text) for text in texts]
    if max(sizes) < 128:
        return bytes(sizes)
    return b"".join(bytes((each,)) if each < 128 else _LONG.pack(each | 1 << 31) for each in sizes)


def _params(content: bytes) -> Iterator[bytes]:
    for at in range(0, len(content), LONGEST_CONTENT):
        yield _record(_PARAMS, content[at : at + LONGEST_CONTENT])


def stdin_header(size: int) -> bytes:
    """Begin a record with ``size`` bytes of the request's body, at most `LONGEST_CONTENT`."""
    return _HEADER.pack(1, _STDIN, _ID, size, 0)


class RecordDecoder:
    """Takes the framing off what an application sends for one request."""

    __slots__ = (
        "_content",
        "_data",
        "_end",
        "_ended_streams",
        "_kind",
        "_padding",
        "_refusal",
        "finished",
        "more",
        "rest",
        "status",
        "stderr",
    )

    def __init__(self) -> None:
        #: Whether the request has ended, and how, as the application says.
        self.finished = False
        self.status = ProtocolStatus.REQUEST_COMPLETE
        #: What came after it.
        self.rest = b""
        #: Whether `feed` has left something for its next call, which needs no new bytes for it.
        self.more = False
        #: What the application wrote to its error stream, until somebody takes it.
        self.stderr = b""
        # What is not decoded yet: less than a header, unless `more` is set.
        self._data = b""
        # The record whose content or padding is next, and what is left of both.
        self._kind = 0
        self._content = 0
        self._padding = 0
        self._end = b""
        self._ended_streams: set[int] = set()
        # Once the framing is broken, nothing that follows can be understood.
        self._refusal: Refusal | None = None

    def feed(self, data: bytes) -> bytes:
        """Return what the application wrote to its standard output; raises `Refusal` (502).

        That is what is in ``data`` and in what an earlier call left, unless `more` is set: then the
        next call returns further bytes.
        """
        if self._refusal is not None:
            raise self._refusal
        data = self._data + data if self._data else data
        output: list[bytes] = []
        at = 0
        self.more = False
        for _ in range(_MOST_RECORDS):
            at = self._take_record(data, at, output)
            if self.finished or self._content or self._padding:
                break
            if len(data) - at < _HEADER.size:
                break
            try:
                self._begin_record(*_HEADER.unpack_from(data, at))
            except Refusal as refusal:
                self._refusal = refusal
                raise
            at += _HEADER.size
        else:
            self.more = True
        if self.finished:
            self.rest, self._data = data[at:], b""
        else:
            self._data = data[at:]
        return output[0] if len(output) == 1 else b"".join(output)

    def _begin_record(self, version: int, kind: int, request: int, size: int, padding: int) -> None:
        if version != 1 or (kind, request) not in _EXPECTED:
            raise Refusal(502, "the application's answer is not FastCGI")
        if kind in self._ended_streams:
            raise Refusal(502, "the application wrote to a stream that it had ended")
        if kind == _END_REQUEST and size != _END.size:
            raise Refusal(502, "the application's end of the request is malformed")
        if not size and kind in (_STDOUT, _STDERR):
            self._ended_streams.add(kind)
        self._kind, self._content, self._padding = kind, size, padding

    def _take_record(self, data: bytes, at: int, output: list[bytes]) -> int:
        """Take what is here of a record's content and padding; return where the next byte is."""
        if self._content:
            piece = data[at : at + self._content]
            at += len(piece)
            self._content -= len(piece)
            self._keep(piece, output)
        if self._padding and not self._content:
            skipped = min(self._padding, len(data) - at)
            at += skipped
            self._padding -= skipped
        if self._kind == _END_REQUEST and not self._content and not self._padding:
            self._finish()
        return at

    def _keep(self, piece: bytes, output: list[bytes]) -> None:
        if self._kind == _STDOUT:
            output.append(piece)
        elif self._kind == _STDERR:
            self.stderr += piece
        elif self._kind == _END_REQUEST:
            self._end += piece

    def _finish(self) -> None:
        _, status = _END.unpack(self._end)
        try:
            self.status = ProtocolStatus(status)
        except ValueError:
            self._refusal = Refusal(502, "the application ended the request with no known status")
            raise self._refusal from None
        self.finished = True
