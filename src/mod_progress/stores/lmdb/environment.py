"""An LMDB environment in a directory of the user's own, opened once in a process."""

from __future__ import annotations

import fcntl
import os
import shutil
import stat
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from weakref import WeakValueDictionary

import lmdb

from mod_progress.stores.contract import StoreBusy, StoreError

#: LMDB keeps a slot for each thread that reads at one moment, in any process.
MAX_READERS = 1024

#: Seconds that a fork waits for a batch that is being written.
FORK_PATIENCE = 1.0

#: Seconds between two looks at whether the files are there, or can be opened: no lookup pays for
#: that but one a second.
CHECK = 1.0

#: Seconds between two attempts to begin a transaction while another process has one.
POLL = 0.002

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
        self._files = (path / "data.mdb", path / "lock.mdb")
        self._opened: list[tuple[int, int]] = []
        self._map_size = map_size
        self._handle: lmdb.Environment | None = None
        # The file that whoever writes holds locked.
        self._turn = -1
        self._check_at = 0.0
        self._failure: Exception | None = None
        # Held by whoever opens, closes, writes or forks. Readers need no lock.
        self._lock = threading.RLock()
        self._locked_for_fork = False

    @contextmanager
    def writing(self, patience: float) -> Iterator[lmdb.Transaction[bytes]]:
        """Return a transaction that is committed at the end, or aborted if that raises.

        Raises `StoreBusy` where another process writes for longer than ``patience`` seconds:
        LMDB itself would wait for as long as it is stopped.
        """
        with self._lock:
            environment = self.handle()
            self._take_turn(time.monotonic() + patience)
            try:
                with environment.begin(write=True) as transaction:
                    yield transaction
            finally:
                fcntl.flock(self._turn, fcntl.LOCK_UN)

    def _take_turn(self, deadline: float) -> None:
        while True:
            try:
                return fcntl.flock(self._turn, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                if time.monotonic() >= deadline:
                    raise StoreBusy("another process does not end its writing") from None
                time.sleep(POLL)

    def handle(self) -> lmdb.Environment:
        """Return the open environment. Raises `StoreError`, `lmdb.Error` or OSError.

        Waits for nobody where it is open already.
        """
        trusted = time.monotonic() < self._check_at
        handle = self._handle
        if trusted and handle is not None:
            return handle
        if trusted and self._failure is not None:
            raise self._failure.with_traceback(None)
        if not self._lock.acquire(blocking=handle is None) and handle is not None:
            return handle
        self._failure = None
        try:
            return self._open()
        except Exception as failure:
            self._failure = failure
            raise
        finally:
            self._check_at = time.monotonic() + CHECK
            self._lock.release()

    def close(self) -> None:
        """Let go of the handle; the next use opens it anew."""
        with self._lock:
            self._check_at = 0.0
            handle, self._handle = self._handle, None
            if handle is not None:
                handle.close()
                os.close(self._turn)

    def start_over(self) -> None:
        """Put away what is there, for good; every process finds so within `CHECK`.

        A full environment has no room for the pages that a deletion takes, and one that is
        broken stays so.
        """
        with self._lock:
            self.close()
            away = self._path.with_name(f"{self._path.name}.{os.urandom(8).hex()}")
            with suppress(FileNotFoundError):
                self._path.rename(away)
                shutil.rmtree(away)

    def _open(self) -> lmdb.Environment:
        """Return the handle, of the files that are there: temporary directories get cleaned."""
        if self._handle is not None and self._stats() != self._opened:
            self.close()
        if self._handle is None:
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
            self._turn = os.open(self._path / "turn", os.O_RDWR | os.O_CREAT, 0o600)
            self._opened = self._stats()
            self._handle = handle
        self._handle.reader_check()
        return self._handle

    def _stats(self) -> list[tuple[int, int]]:
        """Return what tells the files from others of the same names."""
        with suppress(FileNotFoundError):
            return [(found.st_dev, found.st_ino) for found in map(Path.stat, self._files)]
        return []

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
        self._check_at = 0.0


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
