"""The directory that holds the files of the local store: one that only this user can reach."""

from __future__ import annotations

import os
import stat
import tempfile
from pathlib import Path

from mod_progress.stores.contract import StoreError

__all__ = ["boot", "private_directory"]

#: A new one for each boot, on Linux. Deadlines count from the boot.
_BOOT = Path("/proc/sys/kernel/random/boot_id")


def private_directory() -> Path:
    """Return a directory that only this user can reach; make it if it is missing.

    It lies in memory if the system has such a place, since nothing in it outlives a boot. Raises
    `StoreError` if its name is taken by something else.
    """
    user = os.geteuid()
    bases = (os.environ.get("XDG_RUNTIME_DIR"), "/dev/shm", tempfile.gettempdir())
    base = next(Path(base) for base in bases if base and _trusted(Path(base), user))
    path = base / f"mod_progress-{user}"
    path.mkdir(mode=0o700, exist_ok=True)
    found = path.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != user or found.st_mode & 0o077:
        raise StoreError(f"{path} is not a directory of user {user} alone (mode 0700)")
    return path


def boot() -> str:
    """Return what identifies this boot of the machine."""
    return _BOOT.read_text().strip() if _BOOT.exists() else ""


def _trusted(base: Path, user: int) -> bool:
    """Return whether only this user and root can replace what this user makes in ``base``."""
    if not os.access(base, os.W_OK | os.X_OK):
        return False
    found = base.stat()
    shared = found.st_mode & 0o022 and not found.st_mode & stat.S_ISVTX
    return stat.S_ISDIR(found.st_mode) and found.st_uid in (user, 0) and not shared
