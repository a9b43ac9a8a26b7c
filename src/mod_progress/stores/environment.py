"""An LMDB environment in a directory of the user's own, opened once in a process."""

from __future__ import annotations

import os
import stat
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from weakref import WeakValueDictionary

import lmdb

from mod_progress.stores import StoreError

#: LMDB keeps a slot for each thread that reads at one moment, in any process.
MAX_READERS = 1024

#: Seconds that a fork waits for a batch that is being written.
FORK_PATIENCE = 1.0

#: Seconds between two attempts to open what cannot be opened: a lookup must not pay for each.
RETRY = 1.0

#: Set anew by each boot, where the system has it: deadlines count from the boot.
_BOOT = Path("/proc/sys/kernel/random/boot_id")


def private_directory() -> Path:
    """Return a directory that only this user can reach, made where it is missing.

    It lies in memory where the system has such a place, since nothing in it outlives a boot.
    Raises `StoreError` where somebody else has taken its name.
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
    """Return what tells this boot from the last one."""
    return _BOOT.read_text().strip() if _BOOT.exists() else ""


def _trusted(base: Path, user: int) -> bool:
    """Whether nobody but this user and root can replace what this user makes in ``base``."""
    if not os.access(base, os.W_OK | os.X_OK):
        return False
    found = base.stat()
    shared = found.st_mode & 0o022 and not found.st_mode & stat.S_ISVTX
    return stat.S_ISDIR(found.st_mode) and found.st_uid in (user, 0) and not shared


class Environment:
    """The handle of one directory. LMDB forbids to open it twice in a process, and to carry it
    across a fork: so it is shared by path, and closed while the process forks.
    """

    def __init__(self, path: Path, map_size: int) -> None:
        self._path = path
        self._data = path / "data.mdb"
        self._file: os.stat_result | None = None
        self._map_size = map_size
        self._handle: lmdb.Environment | None = None
        self._retry_at = 0.0
        # Held by whoever opens, closes, writes or forks. Readers need no lock.
        self._lock = threading.RLock()
        self._locked_for_fork = False

    @contextmanager
    def writing(self) -> Iterator[lmdb.Transaction[bytes]]:
        """Return a transaction that is committed at the end, or aborted if that raises."""
        with self._lock:
            if self._handle is not None and not self._same_file():
                self.close()
            with self.handle().begin(write=True) as transaction:
                yield transaction

    def handle(self) -> lmdb.Environment:
        """Return the open environment. Raises `StoreError`, `lmdb.Error` or OSError."""
        return self._handle or self._open()

    def close(self) -> None:
        """Let go of the handle; the next use opens it anew."""
        with self._lock:
            if self._handle is not None:
                self._handle.close()
                self._handle = None

    def _open(self) -> lmdb.Environment:
        with self._lock:
            if self._handle is not None:
                return self._handle
            if time.monotonic() < self._retry_at:
                raise StoreError("it could not be opened")
            self._retry_at = time.monotonic() + RETRY
            self._path.mkdir(mode=0o700, parents=True, exist_ok=True)
            handle = lmdb.open(
                os.fspath(self._path),
                map_size=self._map_size,
                max_readers=MAX_READERS,
                mode=0o600,
                # Nothing outlives a boot, so nothing waits for a disk.
                sync=False,
                metasync=False,
                # A full /dev/shm would be a SIGBUS with it; without, an error.
                writemap=False,
            )
            handle.reader_check()
            self._file = self._data.stat()
            self._retry_at = 0.0
            self._handle = handle
            return handle

    def _same_file(self) -> bool:
        """Whether the file is still the one opened: temporary directories get cleaned."""
        try:
            return self._file is not None and os.path.samestat(self._file, self._data.stat())
        except FileNotFoundError:
            return False

    def before_fork(self) -> None:
        """Close the handle, unless a writer is stuck: then the child goes without it."""
        self._locked_for_fork = self._lock.acquire(timeout=FORK_PATIENCE)
        if self._locked_for_fork:
            self.close()

    def after_fork_in_parent(self) -> None:
        """Let the others open it anew."""
        if self._locked_for_fork:
            self._lock.release()

    def after_fork_in_child(self) -> None:
        """Forget the parent's lock, and a handle that it could not close."""
        self._lock = threading.RLock()
        self._handle = None


_environments: WeakValueDictionary[Path, Environment] = WeakValueDictionary()


def shared(path: Path, map_size: int) -> Environment:
    """Return the environment of this path, the same one to all who ask."""
    return _environments.setdefault(path, Environment(path, map_size))


def _each(step: Callable[[Environment], None]) -> Callable[[], None]:
    def hook() -> None:
        for environment in list(_environments.values()):
            step(environment)

    return hook


os.register_at_fork(
    before=_each(Environment.before_fork),
    after_in_parent=_each(Environment.after_fork_in_parent),
    after_in_child=_each(Environment.after_fork_in_child),
)
