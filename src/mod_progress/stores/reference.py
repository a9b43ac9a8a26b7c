"""Names of stores that are kept elsewhere: ``env:NAME`` is in a variable, ``file:PATH`` in a file.

A URL with a password is then in no configuration file, on no command line and in no list of
processes.
"""

from __future__ import annotations

import os
from pathlib import Path

from mod_progress.options import OptionError

__all__ = ["dereference"]

#: Bytes that are read of a file at most: no URL is longer.
MOST = 1 << 16


def dereference(spec: str) -> str:
    """Return what ``spec`` refers to, without white space around it; ``spec`` if it refers to none.

    Raises `OptionError` if the variable is not set, or the file cannot be read, or is empty. The
    text of the error has nothing of what they hold.
    """
    scheme, _, rest = spec.partition(":")
    if scheme == "env":
        name = _read_variable(spec, rest)
    elif scheme == "file":
        name = _read_file(spec, rest)
    else:
        return spec
    if not name:
        raise OptionError("store", spec, "one that holds the name of a store: it is empty")
    return name


def _read_variable(spec: str, variable: str) -> str:
    if variable not in os.environ:
        raise OptionError("store", spec, "the name of an environment variable that is set")
    return os.environ[variable].strip()


def _read_file(spec: str, path: str) -> str:
    try:
        with Path(path).open("rb") as file:
            return file.read(MOST).decode().strip()
    except OSError as error:
        raise OptionError("store", spec, f"a file that can be read: {error.strerror}") from None
    except ValueError:  # it is no text, or the path has a NUL
        raise OptionError("store", spec, "a file that holds text") from None
