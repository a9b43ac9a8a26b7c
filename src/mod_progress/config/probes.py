"""What a configuration needs of the machine: each probe raises `UnplacedError` where it is missing.

Only `check` runs them. A server or a directory may be missing now and there later, so the gateway
starts without them.
"""

from __future__ import annotations

import os
import stat
from pathlib import Path

from mod_progress.config.errors import UnplacedError
from mod_progress.gateway.address import Address
from mod_progress.gateway.server.identity import IdentityError, find_group, find_user
from mod_progress.gateway.server.listening import resolve


def resolvable(address: Address) -> None:
    """Check that a host has an address, or that the directory of a Unix socket is there."""
    if address.passed is not None:
        return  # only a start by systemd can tell
    if address.path is not None:
        directory(str(Path(address.path).parent))
        return
    try:
        resolve(address)
    except OSError as error:
        raise UnplacedError(f"cannot resolve '{address.host}': {error.strerror}") from None


def known_user(name: str) -> None:
    """Check that there is a user of that name or number."""
    try:
        find_user(name)
    except IdentityError as error:
        raise UnplacedError(str(error)) from None


def known_group(name: str) -> None:
    """Check that there is a group of that name or number."""
    try:
        find_group(name)
    except IdentityError as error:
        raise UnplacedError(str(error)) from None


def directory(path: str) -> None:
    """Check that a directory is there, and that this process may use it."""
    if not stat.S_ISDIR(_status(path).st_mode):
        raise UnplacedError(f"'{path}' is not a directory")
    _check_access(path, os.X_OK)


def writable_directory(path: str) -> None:
    """Check that this process may make files in a directory."""
    directory(path)
    _check_access(path, os.W_OK)


def creatable_directory(path: str) -> None:
    """Check that this process may make files in a directory, or make the directory."""
    existing = Path(path)
    while not os.access(existing, os.F_OK) and existing != existing.parent:
        existing = existing.parent
    writable_directory(str(existing))


def writable_file(path: str) -> None:
    """Check that this process may append to a file, or make it."""
    if not os.access(path, os.F_OK):
        writable_directory(str(Path(path).parent))
    elif stat.S_ISDIR(_status(path).st_mode):
        raise UnplacedError(f"'{path}' is a directory")
    else:
        _check_access(path, os.W_OK)


def _status(path: str) -> os.stat_result:
    try:
        return os.stat(path)  # noqa: PTH116
    except OSError as error:
        raise UnplacedError(f"cannot use '{path}': {error.strerror}") from None


def _check_access(path: str, mode: int) -> None:
    if not os.access(path, mode):
        raise UnplacedError(f"cannot use '{path}': this user may not")
