"""Whether a request's preconditions hold for a file (RFC 9110, section 13); no I/O."""

from __future__ import annotations

import re
from email.utils import formatdate, mktime_tz, parsedate_tz
from typing import NamedTuple

from mod_progress.gateway.http.request import RequestHead

_TAG = re.compile(rb'(W/)?("[\x21\x23-\x7e\x80-\xff]*")')


class Validators(NamedTuple):
    """The validators of a file (RFC 9110, section 8.8): they change when the file does."""

    #: A strong entity tag, with its quotes.
    etag: bytes
    #: The time of the last change, in whole seconds since 1970.
    modified: int

    @property
    def last_modified(self) -> bytes:
        """The time of the last change as an HTTP date."""
        return formatdate(self.modified, usegmt=True).encode()


def precondition(request: RequestHead, current: Validators) -> int:
    """Return 200 where the request is to be served, else 304 or 412.

    The order of precedence is that of section 13.2.2, for GET and HEAD.
    """
    named = request.named
    if b"if-match" in named:
        if not _lists(_values(request, b"if-match"), current.etag, weak=False):
            return 412
    elif b"if-unmodified-since" in named:
        date = parse_date(named[b"if-unmodified-since"])
        if date is not None and current.modified > date:
            return 412
    if b"if-none-match" in named:
        return 304 if _lists(_values(request, b"if-none-match"), current.etag, weak=True) else 200
    if b"if-modified-since" in named:
        date = parse_date(named[b"if-modified-since"])
        if date is not None and current.modified <= date:
            return 304
    return 200


def range_holds(request: RequestHead, current: Validators) -> bool:
    """Whether a range is of the file that the client has a part of (If-Range, section 13.1.5)."""
    value = request.named.get(b"if-range")
    return value is None or value in (current.etag, current.last_modified)


def parse_date(value: bytes) -> int | None:
    """Return an HTTP date, in any of its three forms, as seconds since 1970; None for another."""
    try:
        parsed = parsedate_tz(value.decode("latin-1"))
        return None if parsed is None else int(mktime_tz(parsed))
    except (ValueError, OverflowError):
        return None


def _values(request: RequestHead, name: bytes) -> bytes:
    """Return the values of a list field, joined, which may stand on several lines."""
    return b",".join(value for key, value in request.fields if key.lower() == name)


def _lists(values: bytes, etag: bytes, *, weak: bool) -> bool:
    """Whether a list of entity tags has this one; a weak one counts only where ``weak``."""
    if values.strip(b" \t") == b"*":
        return True
    return any(tag == etag and (weak or not mark) for mark, tag in _TAG.findall(values))
