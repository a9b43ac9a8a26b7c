"""The directories that may hold the files of the local store, and which of them are still used."""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import stat
import sys
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from mod_progress.stores.contract import StoreError

__all__ = ["bases", "default_name", "machine", "private_directory", "remove_abandoned"]

#: In memory, on Linux.
SHARED_MEMORY = "/dev/shm"

#: A new one for each boot, on Linux.
_BOOT = Path("/proc/sys/kernel/random/boot_id")

#: The namespaces that processes must share to use the same files: LMDB tells its readers apart by
#: their process ids, and deadlines are times of the monotonic clock.
_NAMESPACES = [Path("/proc/self/ns/pid"), Path("/proc/self/ns/time")]


def default_name() -> str:
    """Return a name that the workers of one application share, and two applications do not.

    It is made of the working directory and of ``sys.prefix``, which workers have in common however
    they were started. The user is in the directory's name.

    Raises `StoreError` if the working directory was removed.
    """
    try:
        working_directory = Path.cwd()
    except OSError:
        raise StoreError(
            "the working directory, which gives it its name, was removed; local:NAME needs none"
        ) from None
    place = os.fsencode(working_directory) + b"\0" + os.fsencode(sys.prefix)
    return f"app-{hashlib.sha256(place).hexdigest()[:16]}"


def bases(runtime: str | None) -> Iterator[Path]:
    """Yield the places for the store's directory, the best first.

    ``runtime`` is the value of XDG_RUNTIME_DIR. Places in memory come first, since nothing in the
    store outlives a boot. A relative path is passed over: other processes may have another working
    directory.
    """
    yield from _absolute(runtime)
    yield from _absolute(SHARED_MEMORY)
    with suppress(OSError):  # if nobody may write to any temporary directory
        yield from _absolute(tempfile.gettempdir())


def _absolute(place: str | None) -> Iterator[Path]:
    if place and Path(place).is_absolute():
        yield Path(place)


def private_directory(base: Path) -> Path:
    """Return a directory in ``base`` that only this user can reach; make it if it is missing.

    Raises `StoreError` if others could replace it, or its name is taken, and OSError.
    """
    user = os.geteuid()
    found = base.stat()
    if found.st_uid not in (user, 0):
        raise StoreError("it belongs to another user")
    if found.st_mode & 0o022 and not found.st_mode & stat.S_ISVTX:
        raise StoreError("other users may replace what is in it")
    path = base / f"mod_progress-{user}"
    path.mkdir(mode=0o700, exist_ok=True)
    found = path.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != user or found.st_mode & 0o077:
        raise StoreError(f"{path.name} in it is not a directory of user {user} alone (mode 0700)")
    return path


def machine() -> str:
    """Return what the processes have in common that can share files: the boot and the namespaces.

    Containers have namespaces of their own, and may have a directory in common all the same.
    """
    boot = ""
    with suppress(OSError):
        boot = _BOOT.read_text().strip()
    namespaces = [_inode(path) for path in _NAMESPACES]
    return f"{boot}.{'-'.join(namespaces)}"


def _inode(path: Path) -> str:
    try:
        return str(path.stat().st_ino)
    except OSError:  # another system than Linux, or an old one
        return ""


def remove_abandoned(directory: Path, stem: str) -> None:
    """Remove the directories beside ``directory`` that no process uses.

    They are named ``stem`` and what `machine` returned earlier: for another boot, or a container
    that has ended. Otherwise each start of a container would leave one behind.
    """
    for other in directory.parent.glob(f"{stem}.*"):
        # A name with more dots is that of another store.
        ours = other.name.count(".") == directory.name.count(".")
        if ours and other != directory and _is_abandoned(other):
            shutil.rmtree(other, ignore_errors=True)


def _is_abandoned(directory: Path) -> bool:
    """Return whether nobody has LMDB's lock, which each process shares while it uses the files."""
    try:
        lock = os.open(directory / "lock.mdb", os.O_RDWR)
    except OSError:
        return False
    try:
        fcntl.lockf(lock, fcntl.LOCK_EX | fcntl.LOCK_NB, 1)
    except OSError:
        return False
    finally:
        os.close(lock)
    return True
