"""Configuration files: read, and found for an ``include``."""

from __future__ import annotations

import os
import stat
from fnmatch import fnmatchcase
from pathlib import Path
from typing import NamedTuple

from mod_progress.config.errors import Source, UnplacedError

#: Bytes of the largest file. A megabyte takes about 10 seconds to compile.
LARGEST = 1024**2


class File(NamedTuple):
    """A file that was read."""

    path: Path
    source: Source
    #: What the system knows the file by, whatever path leads to it: device and inode.
    identity: tuple[int, int]


def read(path: Path) -> File:
    """Return a file; raises `UnplacedError`."""
    try:
        with open(path, "rb", opener=_open) as file:
            status = os.fstat(file.fileno())
            # A pipe or a device may have no end.
            if not stat.S_ISREG(status.st_mode):
                raise ValueError("not a regular file")
            data = file.read(LARGEST + 1) or b""
        if len(data) > LARGEST:
            raise ValueError(f"it is larger than {LARGEST} bytes")
    except (OSError, ValueError) as error:
        raise _unreadable(path, error) from None
    source = Source(str(path), data.decode("utf-8-sig", "surrogateescape"))
    return File(path, source, (status.st_dev, status.st_ino))


def _open(path: str, flags: int) -> int:
    # Without O_NONBLOCK, opening a pipe would wait for its other end.
    return os.open(path, flags | os.O_NONBLOCK | os.O_NOCTTY)


def find(pattern: str, directory: Path) -> list[Path]:
    """Return the files that an ``include`` in ``directory`` names, sorted; raises `UnplacedError`.

    As in lighttpd 2, the wildcards are ``*`` and ``?``, in the last part of the path alone, and it
    is no error that none matches.
    """
    path = directory / pattern
    if not {"*", "?"} & set(path.name):
        return [path]
    expression = path.name.replace("[", "[[]")
    try:
        return sorted(file for file in path.parent.iterdir() if fnmatchcase(file.name, expression))
    except (OSError, ValueError) as error:
        raise _unreadable(path.parent, error) from None


def _unreadable(path: Path, error: OSError | ValueError) -> UnplacedError:
    why = isinstance(error, OSError) and error.strerror
    return UnplacedError(f"cannot read {path}: {why or error}")
