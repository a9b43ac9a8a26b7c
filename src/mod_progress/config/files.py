"""Configuration files: read, and found for an ``include``."""

from __future__ import annotations

from fnmatch import fnmatchcase
from pathlib import Path

from mod_progress.config.errors import Fault, Source


def read(path: Path) -> Source:
    """Return a file; raises `Fault`."""
    try:
        return Source(str(path), path.read_bytes().decode("utf-8-sig", "surrogateescape"))
    except (OSError, ValueError) as error:
        raise _unreadable(path, error) from None


def find(pattern: str, directory: Path) -> list[Path]:
    """Return the files that an ``include`` in ``directory`` names, sorted; raises `Fault`.

    As in the original, the wildcards are ``*`` and ``?``, in the last part of the path alone; that
    none matches is no error.
    """
    path = directory / pattern
    if not {"*", "?"} & set(path.name):
        return [path]
    expression = path.name.replace("[", "[[]")
    try:
        return sorted(file for file in path.parent.iterdir() if fnmatchcase(file.name, expression))
    except (OSError, ValueError) as error:
        raise _unreadable(path.parent, error) from None


def _unreadable(path: Path, error: OSError | ValueError) -> Fault:
    why = isinstance(error, OSError) and error.strerror
    return Fault(f"cannot read {path}: {why or error}")
