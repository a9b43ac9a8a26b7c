"""Changes of header fields, one after the other; no I/O."""

from __future__ import annotations

import re
from collections.abc import Iterable
from enum import Enum
from typing import NamedTuple

from mod_progress.gateway.http.heads import FIELD_LINE, TOKEN, Fields

#: Fields that frame a message or are for one connection alone (RFC 9110, section 7.6.1), and those
#: that the gateway writes itself, in both directions.
_OWN = frozenset(
    b"connection content-length http2-settings keep-alive proxy-connection te trailer"
    b" transfer-encoding upgrade".split()
)
_OWN_IN_RESPONSE = _OWN | {b"date"}
_OWN_IN_REQUEST = _OWN | {b"expect", b"forwarded", b"x-real-ip"}

_NAME = re.compile(TOKEN).fullmatch

#: Finds the control characters that no value may have (RFC 9110, section 5.5).
_CONTROL = re.compile(rb"[\x00-\x08\x0a-\x1f\x7f]")


class Operation(Enum):
    """What is done with the field of a name."""

    ADD = "a line more"
    APPEND = "the value is added to that of the last line, behind a comma"
    OVERWRITE = "this value alone"
    REMOVE = "no line"


class Edit(NamedTuple):
    """One change of a field; the value is one as `field_value` returns it."""

    operation: Operation
    name: bytes
    value: bytes = b""


def is_editable(name: bytes, *, in_request: bool) -> bool:
    """Whether a field may be changed: one that is no part of the framing, nor the gateway's own."""
    key = _key(name)
    if in_request and key.startswith(b"x-forwarded-"):
        return False
    return key not in (_OWN_IN_REQUEST if in_request else _OWN_IN_RESPONSE)


def is_name(name: bytes) -> bool:
    """Whether this is the name of a field."""
    return _NAME(name) is not None


def has_control(text: bytes) -> bool:
    """Whether a text has a character that no value of a field may have."""
    return _CONTROL.search(text) is not None


def field_value(text: bytes) -> bytes:
    """Return a text as the value of a field, whatever a request has brought into it.

    Control characters are percent-encoded, so that nothing ends the line.
    """
    return _CONTROL.sub(lambda found: b"%%%02X" % ord(found[0]), text).strip(b" \t")


def _key(name: bytes) -> bytes:
    """Return the name by which fields are compared.

    A backend that knows fields as CGI variables takes an underscore for a dash.
    """
    return name.lower().replace(b"_", b"-")


def edit_fields(fields: Fields, edits: Iterable[Edit]) -> Fields:
    """Return the fields with the changes made, in order."""
    changed = list(fields)
    for operation, name, value in edits:
        key = _key(name)
        places = [place for place, each in enumerate(changed) if _key(each[0]) == key]
        if operation is Operation.APPEND and places:
            found, before = changed[places[-1]]
            changed[places[-1]] = found, b"%b, %b" % (before, value) if before else value
            continue
        if operation in (Operation.OVERWRITE, Operation.REMOVE):
            changed = [each for each in changed if _key(each[0]) != key]
        if operation is not Operation.REMOVE:
            changed.append((name, value))
    return tuple(changed)


def edit_lines(lines: bytes, edits: Iterable[Edit]) -> bytes:
    """Return header lines, each with its CRLF, with the changes made."""
    fields = tuple((name, value) for name, value in FIELD_LINE.findall(lines))
    return b"".join([b"%b: %b\r\n" % field for field in edit_fields(fields, edits)])
