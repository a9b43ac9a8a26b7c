"""Serves the script for browsers, and its modules, out of the installed package.

A front answers a request whose path is one of `script_paths` with what `serve_script` returns.
"""

from __future__ import annotations

from collections.abc import Callable
from posixpath import basename, dirname, join

from mod_progress.show.answer import Answer
from mod_progress.show.web_files import serve_web_file

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


def script_paths(script: str) -> frozenset[str]:
    """Return the paths that belong to a front's script at the path ``script``: all modules."""
    folder = dirname(script)
    return frozenset({script, *(join(folder, module) for module in MODULES)})


def serve_script(path: str, field: Callable[[bytes], bytes | None]) -> Answer:
    """Return the module that the last segment of ``path`` names; any other name is the main one.

    ``field`` and the answer are those of `web_files.serve_web_file`.
    """
    name = basename(path)
    return serve_web_file(name if name in MODULES else MAIN, field)
