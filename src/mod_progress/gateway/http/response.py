"""The head of an upstream's response: from bytes to a `ResponseHead`, or to a `Refusal`; no I/O."""

from __future__ import annotations

import re
from functools import lru_cache

from mod_progress.gateway.http.heads import (
    FIELDS,
    FORBIDDEN,
    LONGEST_REMEMBERED,
    REMEMBERED,
    VALUE,
    Fields,
    Refusal,
    first_by_name,
    list_tokens,
    parse_content_length,
    persists,
    split_fields,
)
from mod_progress.gateway.limits import HeadLimits

_STATUS_LINE = rb"HTTP/1\.([0-9]) ([1-5][0-9]{2})(?: " + VALUE + rb")?\r\n"

_RESPONSE = re.compile(_STATUS_LINE + FIELDS).fullmatch


class ResponseHead:
    """The head of a response, as an upstream sent it."""

    __slots__ = (
        "chunked",
        "connection",
        "content_length",
        "fields",
        "forwarded",
        "keep_alive",
        "minor",
        "named",
        "status",
    )

    def __init__(self, status: int, minor: int, fields: Fields) -> None:
        self.status = status
        self.minor = minor
        self.fields = fields
        #: The fields as they go on to a client; None until an exchange needs them.
        self.forwarded: bytes | None = None
        self.named = first_by_name(fields)
        self.connection = list_tokens(
            value for key, value in fields if key.lower() == b"connection"
        )
        self.keep_alive = persists(self.connection, minor)
        codings = [value for key, value in fields if key.lower() == b"transfer-encoding"]
        self.chunked = bool(codings)
        lengths = [value for key, value in fields if key.lower() == b"content-length"]
        self.content_length = parse_content_length(lengths) if lengths else None
        if codings and (not minor or lengths or [c.lower() for c in codings] != [b"chunked"]):
            raise Refusal(502, "its framing is ambiguous")


def parse_response(head: bytes, limits: HeadLimits) -> ResponseHead:
    """Parse a response's head, its closing empty line included; raises `Refusal` (502)."""
    if len(head) <= LONGEST_REMEMBERED:
        return _remembered_response(head, limits)
    return _parse_response(head, limits)


def _parse_response(head: bytes, limits: HeadLimits) -> ResponseHead:
    if len(head) > limits.size:
        raise Refusal(502, "the upstream's head is too large")
    match = _RESPONSE(head)
    if match is None:
        raise Refusal(502, "the upstream's answer is not HTTP/1.1")
    minor, status, fields = match.groups()
    try:
        return ResponseHead(int(status), min(int(minor), 1), split_fields(fields, limits))
    except Refusal as refusal:
        raise Refusal(502, f"the upstream's answer: {refusal.reason}") from None


_remembered_response = lru_cache(REMEMBERED)(_parse_response)


def check_incomplete_response(head: bytes, start: int, limits: HeadLimits) -> None:
    """Check the beginning of a head; raises `Refusal` (502) where it cannot become a valid one."""
    if FORBIDDEN(head, start) or head[:7] != b"HTTP/1."[: len(head)]:
        raise Refusal(502, "the upstream's answer is not HTTP/1.1")
    if len(head) > limits.size:
        raise Refusal(502, "the upstream's head is too large")
