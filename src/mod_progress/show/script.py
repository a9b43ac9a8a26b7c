"""Serves the script for browsers, and its modules, out of the installed package.

A front answers a request whose path is one of `script_paths` with what `serve_script` returns.
"""

from __future__ import annotations

import gzip
import hashlib
import re
from collections.abc import Callable
from functools import cache
from importlib.resources import files
from posixpath import basename, dirname, join
from typing import NamedTuple

from mod_progress.show.answer import Answer
from mod_progress.show.formats import Fields

__all__ = ["MAIN", "MODULES", "script_paths", "serve_script"]

#: The module that a page includes.
MAIN = "progress.js"

#: All modules. The others are loaded from the same folder, by that one or by the page.
MODULES = (
    MAIN,
    "progress-htmx.js",
    "progress-languages.js",
    "progress-sharing.js",
    "progress-upload.js",
    "progress-sha256.js",
)

#: A browser asks each time whether the script has changed, so a new version is never mixed with
#: an old one.
_FIELDS: Fields = (
    ("Content-Type", "text/javascript; charset=utf-8"),
    ("Cache-Control", "no-cache"),
    ("Vary", "Accept-Encoding"),
    ("X-Content-Type-Options", "nosniff"),
)

#: The entity tags in an If-None-Match, which compares them weakly (RFC 9110, section 13.1.2).
_TAGS = re.compile(rb'"[^"]*"|\*').findall

#: Whether an Accept-Encoding takes gzip (RFC 9110, section 12.5.3).
_TAKES_GZIP = re.compile(rb"(?:^|[,\s])gzip\s*(?:,|$|;\s*q=(?!0(?:\.0*)?\s*(?:,|$)))").search


class _Representation(NamedTuple):
    """A module as it is sent: its body, and the fields that describe it."""

    body: bytes
    tag: bytes
    fields: Fields


def script_paths(script: str) -> frozenset[str]:
    """Return the paths that belong to a front's script at the path ``script``: all modules."""
    folder = dirname(script)
    return frozenset({script, *(join(folder, module) for module in MODULES)})


def serve_script(path: str, field: Callable[[bytes], bytes | None]) -> Answer:
    """Return the module that the last segment of ``path`` names; any other name is the main one.

    ``field`` returns the value of a request header by its name in lower case, or None. The answer
    has status 200, or 304 without a body where the client has the module already. It is one to a
    GET; that to a HEAD has no body.
    """
    name = basename(path)
    compressed = _TAKES_GZIP((field(b"accept-encoding") or b"").lower()) is not None
    found = _represent(name if name in MODULES else MAIN, compressed)
    known = _TAGS(field(b"if-none-match") or b"")
    if found.tag in known or b"*" in known:
        return Answer(304, found.fields, b"")
    return Answer(200, found.fields, found.body)


@cache
def _represent(name: str, compressed: bool) -> _Representation:
    body = (files("mod_progress") / "web" / name).read_bytes()
    tag = f'"{hashlib.sha256(body).hexdigest()[:16]}{"-gzip" if compressed else ""}"'
    fields = (*_FIELDS, ("ETag", tag))
    if compressed:
        body = gzip.compress(body, mtime=0)
        fields = (*fields, ("Content-Encoding", "gzip"))
    return _Representation(body, tag.encode(), fields)
