"""What a request's and a response's head have in common; no I/O.

Strict: what RFC 9112 does not allow is refused and never repaired, so that a message means the
same here and to everybody behind the gateway.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from http import HTTPStatus

from mod_progress.gateway.limits import HeadLimits

Fields = tuple[tuple[bytes, bytes], ...]

#: Ends a head.
HEAD_END = b"\r\n\r\n"

_PHRASES = {status.value: status.phrase.encode() for status in HTTPStatus}

_STATUS_LINES = {
    status: b"HTTP/1.1 %d %b\r\n" % (status, phrase) for status, phrase in _PHRASES.items()
}

#: The characters of a token (RFC 9110, section 5.6.2), for a set of a regular expression.
TCHAR = rb"!#$%&'*+.^_`|~0-9A-Za-z-"
TOKEN = rb"[" + TCHAR + rb"]++"

# RFC 9110, section 5.5: visible characters, space, tab and obs-text; no other control character.
VALUE = rb"[\t\x20-\x7e\x80-\xff]*+"

FIELDS = rb"((?:" + TOKEN + rb":" + VALUE + rb"\r\n)*+)\r\n"

#: Finds the name and the value of each line of fields that are well-formed.
FIELD_LINE = re.compile(rb"([^:]++):[ \t]*+([^\r]*+)\r\n")

#: Finds what no head may contain, also before the head is complete: a line end that is not CRLF,
#: or another control character (RFC 9112, section 2.2; RFC 9110, section 5.5).
FORBIDDEN = re.compile(rb"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]|(?<!\r)\n|\r(?=[^\n])").search

#: 18 digits hold every size below an exabyte and never overflow 64 bits.
_LENGTH = re.compile(rb"[0-9]{1,18}").fullmatch

#: How many parsed heads are remembered. A client that polls sends the same bytes each time, and
#: many answers of a backend in one second have the same head.
REMEMBERED = 512

#: Bytes of the longest head that is remembered. 512 of them take less than 2 MB.
LONGEST_REMEMBERED = 1024


class Refusal(Exception):
    """A message that is not HTTP/1.1, or not one that the gateway takes."""

    def __init__(self, status: int, reason: str, lines: bytes = b"") -> None:
        super().__init__(f"{status}: {reason}")
        self.status = status
        self.reason = reason
        #: More fields of the answer, each with its CRLF.
        self.lines = lines


def split_fields(fields: bytes, limits: HeadLimits) -> Fields:
    """Return the fields' names and values; raises `Refusal` (431) where there are too many."""
    split = FIELD_LINE.findall(fields)
    if len(split) > limits.fields:
        raise Refusal(431, "too many header fields")
    return tuple([(name, value.rstrip(b" \t")) for name, value in split])


def first_by_name(fields: Fields) -> dict[bytes, bytes]:
    """Return the first value of each field, by its name in lower case."""
    return {name.lower(): value for name, value in reversed(fields)}  # the first of a name stays


def list_elements(values: Iterable[bytes]) -> list[bytes]:
    """Return the elements of list-based fields (RFC 9110, section 5.6.1)."""
    return [token.strip(b" \t") for value in values for token in value.split(b",")]


def list_tokens(values: Iterable[bytes]) -> frozenset[bytes]:
    """Return the elements of list-based fields, in lower case."""
    return frozenset(token.lower() for token in list_elements(values) if token)


def persists(connection: frozenset[bytes], minor: int) -> bool:
    """Whether the connection stays for another message (RFC 9112, section 9.3)."""
    return b"close" not in connection if minor else b"keep-alive" in connection


def parse_content_length(values: list[bytes]) -> int:
    """Return the one Content-Length (RFC 9112, section 6.3); raises `Refusal`."""
    if len(values) != 1 or _LENGTH(values[0]) is None:
        raise Refusal(400, "Content-Length is not one decimal number")
    return int(values[0])


def request_head(method: str, target: bytes, lines: Iterable[bytes]) -> bytes:
    """Serialise a request's head."""
    return b"%b %b HTTP/1.1\r\n%b\r\n" % (method.encode(), target, b"".join(lines))


def response_head(status: int, lines: Iterable[bytes]) -> bytes:
    """Serialise a response's head."""
    line = _STATUS_LINES.get(status) or b"HTTP/1.1 %d \r\n" % status
    return b"".join((line, *lines, b"\r\n"))


def reason_phrase(status: int) -> bytes:
    """Return the reason phrase of a status; empty where there is none."""
    return _PHRASES.get(status, b"")
