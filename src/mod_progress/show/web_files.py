"""Serves files of the folder ``web`` out of the installed package."""

from __future__ import annotations

import gzip
import hashlib
import re
from collections.abc import Callable
from functools import cache
from importlib.resources import files
from typing import NamedTuple

from mod_progress.show.answer import Answer
from mod_progress.show.formats import Fields

__all__ = ["serve_web_file"]

_MEDIA_TYPES = {
    "css": "text/css; charset=utf-8",
    "html": "text/html; charset=utf-8",
    "js": "text/javascript; charset=utf-8",
    "svg": "image/svg+xml",
}

#: A browser asks each time whether a file has changed, so a new version is never mixed with an
#: old one.
_FIELDS: Fields = (
    ("Cache-Control", "no-cache"),
    ("Vary", "Accept-Encoding"),
    ("X-Content-Type-Options", "nosniff"),
)

#: The entity tags in an If-None-Match, which compares them weakly (RFC 9110, section 13.1.2).
_TAGS = re.compile(rb'"[^"]*"|\*').findall

#: Whether an Accept-Encoding takes gzip (RFC 9110, section 12.5.3).
_TAKES_GZIP = re.compile(rb"(?:^|[,\s])gzip\s*(?:,|$|;\s*q=(?!0(?:\.0*)?\s*(?:,|$)))").search


class _Representation(NamedTuple):
    """A file as it is sent: its body, and the fields that describe it."""

    body: bytes
    tag: bytes
    fields: Fields


def serve_web_file(name: str, field: Callable[[bytes], bytes | None]) -> Answer:
    """Return the file of that name, which the package must have.

    ``field`` returns the value of a request header by its name in lower case, or None. The answer
    has status 200, or 304 without a body where the client has the file already. It is one to a
    GET; that to a HEAD has no body.
    """
    compressed = _TAKES_GZIP((field(b"accept-encoding") or b"").lower()) is not None
    found = _represent(name, compressed)
    known = _TAGS(field(b"if-none-match") or b"")
    if found.tag in known or b"*" in known:
        return Answer(304, found.fields, b"")
    return Answer(200, found.fields, found.body)


@cache
def _represent(name: str, compressed: bool) -> _Representation:
    body = (files("mod_progress") / "web" / name).read_bytes()
    tag = f'"{hashlib.sha256(body).hexdigest()[:16]}{"-gzip" if compressed else ""}"'
    media_type = _MEDIA_TYPES[name.rpartition(".")[2]]
    fields = (("Content-Type", media_type), *_FIELDS, ("ETag", tag))
    if compressed:
        body = gzip.compress(body, mtime=0)
        fields = (*fields, ("Content-Encoding", "gzip"))
    return _Representation(body, tag.encode(), fields)
