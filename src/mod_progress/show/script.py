"""Serves the browser's script and its modules out of the installed package.

Every front answers a request for them with what `serve_script` returns. No I/O but reading each
module once.
"""

from __future__ import annotations

import hashlib
from functools import cache
from importlib.resources import files
from posixpath import basename, dirname, join

__all__ = ["MAIN", "MODULES", "script_paths", "serve_script"]

#: The module that a page includes.
MAIN = "progress.js"

#: The modules that it, or a page that needs more, loads from the same folder.
MODULES = (
    MAIN,
    "progress-htmx.js",
    "progress-languages.js",
    "progress-sharing.js",
    "progress-upload.js",
    "sha256.js",
)
