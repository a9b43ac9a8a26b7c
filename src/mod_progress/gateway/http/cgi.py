"""The head of a CGI response: from bytes to a `ResponseHead`, or to a `Refusal`; no I/O.

The format is that of RFC 3875, section 6: header fields, of which Status and Location say what the
server answers. Lines end with LF or CRLF. A status line of HTTP may come first, as uWSGI writes it.
"""

from __future__ import annotations

import re
from functools import lru_cache

from mod_progress.gateway.http.heads import (
    LONGEST_REMEMBERED,
    REMEMBERED,
    TOKEN,
    VALUE,
    Refusal,
    split_fields,
)
from mod_progress.gateway.http.response import ResponseHead
from mod_progress.gateway.limits import HeadLimits

_STATUS_LINE = rb"HTTP/1\.[0-9] ([1-5][0-9]{2})(?: " + VALUE + rb")?\r\n"

_HEAD = re.compile(
    rb"(?:" + _STATUS_LINE + rb")?((?:" + TOKEN + rb":" + VALUE + rb"\r\n)*+)"
).fullmatch

_STATUS = re.compile(rb"([1-5][0-9]{2})(?: .*)?").fullmatch

#: Ends a head: an empty line, also behind no other line.
_END = re.compile(rb"(?:\A|\n)\r?\n").search

#: Fields that say something to the server alone.
_FOR_SERVER = frozenset({b"status"})


def end_of_cgi_head(data: bytes, start: int, limits: HeadLimits) -> int:
    """Return where the body begins; 0 while the head is not whole.

    No end is in the first ``start`` bytes. Raises `Refusal` (502) where a head becomes too large.
    """
    found = _END(data, start)
    if (len(data) if found is None else found.end()) > limits.size:
        raise Refusal(502, "the upstream's head is too large")
    return 0 if found is None else found.end()


def parse_cgi_response(head: bytes, limits: HeadLimits) -> ResponseHead:
    """Parse a head, its closing empty line included; raises `Refusal` (502)."""
    if len(head) <= LONGEST_REMEMBERED:
        return _remembered(head, limits)
    return _parse(head, limits)


def _parse(head: bytes, limits: HeadLimits) -> ResponseHead:
    lines = head.replace(b"\r\n", b"\n").removesuffix(b"\n").replace(b"\n", b"\r\n")
    match = _HEAD(lines)
    if not lines or match is None:
        raise Refusal(502, "the upstream's answer is not CGI")
    try:
        fields = split_fields(match[2], limits)
        kept = tuple(field for field in fields if field[0].lower() not in _FOR_SERVER)
        named = {name.lower(): value for name, value in fields}
        response = ResponseHead(_status(match[1], named), 1, kept)
    except Refusal as refusal:
        raise Refusal(502, f"the upstream's answer: {refusal.reason}") from None
    if response.chunked:  # RFC 3875, section 6.3.4: no fields about the communication with a client
        raise Refusal(502, "the upstream's answer has a transfer coding, which CGI has not")
    return response


_remembered = lru_cache(REMEMBERED)(_parse)


def _status(line: bytes | None, named: dict[bytes, bytes]) -> int:
    """Return the status: that of the field Status, of a status line, of a redirect, or 200.

    A Location alone is a redirect (RFC 3875, section 6.2.3). That of a local path is one too, as in
    nginx and lighttpd; the client asks for it, and not the server itself (section 6.2.2).
    """
    if b"status" in named:
        match = _STATUS(named[b"status"])
        if match is None:
            raise Refusal(502, "its status is malformed")
        return int(match[1])
    if line is not None:
        return int(line)
    return 302 if b"location" in named else 200
