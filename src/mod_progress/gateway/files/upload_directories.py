"""Directories that strangers upload to: their files are served so that they cannot do harm.

A page that a stranger uploaded would otherwise run its scripts as one of the site's own pages, with
the cookies and the rights of whoever opens it.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path

from mod_progress.gateway.files.media_types import LOADABLE, UNKNOWN, is_document

#: The fields of a file that is active: a browser saves it, and if it shows it after all, then
#: without scripts and apart from the site (CSP 3, section 6.3.2).
CONFINED = b"Content-Disposition: attachment\r\nContent-Security-Policy: sandbox\r\n"


def is_active(media_type: str) -> bool:
    """Whether a browser may run what is in such a file, or a page load it as script or style."""
    return media_type in LOADABLE or is_document(media_type)


def confined_type(media_type: str) -> str:
    """Return the type under which an active file is served: none that a page would load."""
    return UNKNOWN if media_type in LOADABLE else media_type


@dataclass(slots=True)
class UploadDirectories:
    """The directories in which a site saves uploads; they need not exist yet."""

    _paths: set[str] = field(default_factory=set)

    def add(self, path: str) -> None:
        """Add a directory."""
        self._paths.add(path)

    def hold(self, path: str) -> bool:
        """Whether the file is in one of them, whichever way its path leads there."""
        if not self._paths:
            return False
        directories = {identity for each in self._paths if (identity := _identity(each))}
        return any(_identity(each) in directories for each in Path(os.path.realpath(path)).parents)


def _identity(path: str | Path) -> tuple[int, int] | None:
    """Return what tells this directory from all others, None where there is none."""
    try:
        status = os.stat(path)  # noqa: PTH116
    except OSError:
        return None
    return status.st_dev, status.st_ino
