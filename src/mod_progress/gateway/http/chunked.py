"""The chunked transfer coding (RFC 9112, section 7.1), strict; no I/O."""

from __future__ import annotations

import re

from mod_progress.gateway.http.heads import FORBIDDEN, TOKEN, Refusal

#: Ends a chunked body.
LAST_CHUNK = b"0\r\n\r\n"

_QUOTED = rb'"(?:[\t \x21\x23-\x5b\x5d-\x7e\x80-\xff]|\\[\t \x21-\x7e\x80-\xff])*"'
_EXTENSION = rb"[ \t]*;[ \t]*" + TOKEN + rb"(?:[ \t]*=[ \t]*(?:" + TOKEN + rb"|" + _QUOTED + rb"))?"
_SIZE_LINE = re.compile(rb"([0-9A-Fa-f]{1,16})((?:" + _EXTENSION + rb")*)").fullmatch
_TRAILER_LINE = re.compile(TOKEN + rb":[\t\x20-\x7e\x80-\xff]*").fullmatch

#: The most bytes of all chunk extensions of a body, and of all its trailers. Both are dropped.
_MOST_EXTENSIONS = 16 * 1024
_MOST_TRAILERS = 16 * 1024
#: The most bytes of a size line: 16 digits and the extensions.
_LONGEST_LINE = 4 * 1024
#: Steps of the decoder in one `ChunkedDecoder.feed`, three for each chunk: at most 2 ms, so that a
#: body in tiny chunks keeps nobody else waiting.
_MOST_STEPS = 3 * 1024
#: The largest size that fits a signed 64-bit counter.
_LARGEST_CHUNK = 2**63 - 1


def encode_chunk(data: bytes) -> bytes:
    """Frame ``data``, which must not be empty, as one chunk."""
    return b"%x\r\n%b\r\n" % (len(data), data)


class ChunkedDecoder:
    """Takes the chunked coding off: extensions and trailers are checked, then dropped."""

    __slots__ = (
        "_at",
        "_data",
        "_extensions",
        "_left",
        "_refusal",
        "_step",
        "_trailers",
        "finished",
        "more",
        "rest",
    )

    def __init__(self) -> None:
        #: Whether the whole body was seen.
        self.finished = False
        #: What came after it.
        self.rest = b""
        #: Whether `feed` has left something for its next call, which needs no new bytes for it.
        self.more = False
        # The bytes that are being decoded, and the position that the decoder has reached.
        self._data = b""
        self._at = 0
        self._left = 0
        self._extensions = 0
        self._trailers = 0
        self._step = self._size
        # Once the framing is broken, nothing that follows can be understood.
        self._refusal: Refusal | None = None

    def feed(self, data: bytes) -> bytes:
        """Return body bytes; raises `Refusal` (400) once the framing breaks.

        They are those in ``data`` and in what an earlier call left, unless `more` is set: then the
        next call returns further ones.
        """
        if self._refusal is not None:
            raise self._refusal
        self._data += data
        self.more = False
        pieces: list[bytes] = []
        steps = 0
        try:
            while not self.finished and self._step(pieces):
                steps += 1
                if steps >= _MOST_STEPS:
                    self.more = not self.finished
                    break
        except Refusal as refusal:
            self._refusal = refusal
            raise
        remainder, self._data, self._at = self._data[self._at :], b"", 0
        if self.finished:
            self.rest = remainder
        else:
            self._data = remainder
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    def _size(self, pieces: list[bytes]) -> bool:
        line = self._line()
        if line is None:
            return False
        match = _SIZE_LINE(line)
        if match is None:
            raise Refusal(400, "a chunk's size is malformed")
        self._left = int(match[1], 16)
        self._extensions += len(match[2])
        if self._left > _LARGEST_CHUNK or self._extensions > _MOST_EXTENSIONS:
            raise Refusal(400, "a chunk's size or the extensions are too large")
        self._step = self._payload if self._left else self._trailer
        return True

    def _payload(self, pieces: list[bytes]) -> bool:
        piece = self._data[self._at : self._at + self._left]
        if not piece:
            return False
        pieces.append(piece)
        self._at += len(piece)
        self._left -= len(piece)
        if not self._left:
            self._step = self._payload_end
        return True

    def _payload_end(self, pieces: list[bytes]) -> bool:
        end = self._data[self._at : self._at + 2]
        if not b"\r\n".startswith(end):
            raise Refusal(400, "a chunk is longer than its size")
        if len(end) < 2:
            return False
        self._at += 2
        self._step = self._size
        return True

    def _trailer(self, pieces: list[bytes]) -> bool:
        line = self._line()
        if line is None:
            return False
        if not line:
            self.finished = True
            return True
        self._trailers += len(line)
        if _TRAILER_LINE(line) is None or self._trailers > _MOST_TRAILERS:
            raise Refusal(400, "a trailer is malformed or too large")
        return True

    def _line(self) -> bytes | None:
        """Take one line off, None while it is not complete."""
        end = self._data.find(b"\r\n", self._at)
        line = self._data[self._at : end if end >= 0 else None]
        if FORBIDDEN(line) or len(line) > _LONGEST_LINE:
            raise Refusal(400, "a line of the chunked framing is malformed or too long")
        if end < 0:
            return None
        self._at = end + 2
        return line
