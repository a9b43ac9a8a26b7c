"""An LMDB environment: the open files of a store, which all stores of a process share."""

from __future__ import annotations

import fcntl
import os
import shutil
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from weakref import WeakValueDictionary

import lmdb

from mod_progress.stores.contract import StoreBusy

__all__ = ["Environment", "shared"]

#: How many readers there may be at one moment, in all processes: LMDB keeps a slot for each.
MAX_READERS = 1024

#: Seconds that a fork waits for a batch that is being written.
FORK_TIMEOUT = 1.0

#: Seconds between two checks of whether the files are still there, or can be opened now: only one
#: lookup in that time pays for the check.
CHECK = 1.0

#: Seconds between two attempts to become the writer while another process is.
POLL = 0.002


class Environment:
    """The open files of one directory.

    LMDB forbids to open them twice in a process and to use them across a fork. So all stores of
    this process that use the directory share one environment, and it is closed during a fork.
    """

    def __init__(self, path: Path, map_size: int) -> None:
        self._path = path
        self._files = (path / "data.mdb", path / "lock.mdb")
        self._opened: list[tuple[int, int]] = []
        self._map_size = map_size
        self._handle: lmdb.Environment | None = None
        # The descriptor of a file that the writing process keeps locked.
        self._writer_lock = -1
        self._check_at = 0.0
        self._failure: Exception | None = None
        # Held while a thread opens, closes, writes or forks. Readers need no lock.
        self._lock = threading.RLock()
        self._locked_for_fork = False

    @contextmanager
    def writing(self, timeout: float) -> Iterator[lmdb.Transaction[bytes]]:
        """Return a transaction; it is committed at the end, or aborted after an exception.

        Raises `StoreBusy` if another process writes for longer than ``timeout`` seconds. LMDB
        itself would wait without end for a process that was stopped.
        """
        with self._lock:
            environment = self.handle()
            self._lock_out_writers(time.monotonic() + timeout)
            try:
                with environment.begin(write=True) as transaction:
                    yield transaction
            finally:
                fcntl.flock(self._writer_lock, fcntl.LOCK_UN)

    def _lock_out_writers(self, deadline: float) -> None:
        while True:
            try:
                return fcntl.flock(self._writer_lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                if time.monotonic() >= deadline:
                    raise StoreBusy("another process does not finish writing") from None
                time.sleep(POLL)

    def handle(self) -> lmdb.Environment:
        """Return the open LMDB environment. Raises `StoreError`, `lmdb.Error` or OSError.

        If it is open already, this waits for no other thread.
        """
        checked = time.monotonic() < self._check_at
        handle = self._handle
        if checked and handle is not None:
            return handle
        if checked and self._failure is not None:
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
        """Close the files; the next use opens them again."""
        with self._lock:
            self._check_at = 0.0
            handle, self._handle = self._handle, None
            if handle is not None:
                handle.close()
                os.close(self._writer_lock)

    def start_over(self) -> None:
        """Delete the files. Each process notices that within `CHECK` seconds, and makes new ones.

        This is for a full environment, which has no room left for the pages that a deletion
        writes, and for a damaged one, which stays damaged.
        """
        with self._lock:
            self.close()
            away = self._path.with_name(f"{self._path.name}.{os.urandom(8).hex()}")
            with suppress(FileNotFoundError):
                self._path.rename(away)
                shutil.rmtree(away)

    def _open(self) -> lmdb.Environment:
        """Return the handle of the files that are there: others may have deleted the old ones."""
        if self._handle is not None and self._identities() != self._opened:
            self.close()
        if self._handle is None:
            self._path.mkdir(mode=0o700, parents=True, exist_ok=True)
            handle = lmdb.open(
                os.fspath(self._path),
                map_size=self._map_size,
                max_readers=MAX_READERS,
                mode=0o600,
                # Nothing outlives a boot, so nothing needs to wait for a disk.
                sync=False,
                metasync=False,
                # With a writable map, a full /dev/shm would end the process by SIGBUS.
                writemap=False,
            )
            self._writer_lock = os.open(self._path / "writer.lock", os.O_RDWR | os.O_CREAT, 0o600)
            self._opened = self._identities()
            self._handle = handle
        self._handle.reader_check()
        return self._handle

    def _identities(self) -> list[tuple[int, int]]:
        """Return what tells the files from others of the same names; nothing if one is missing."""
        with suppress(FileNotFoundError):
            return [(found.st_dev, found.st_ino) for found in map(Path.stat, self._files)]
        return []

    def before_fork(self) -> None:
        """Close the files, unless a writer does not finish: then the child goes on without them."""
        self._locked_for_fork = self._lock.acquire(timeout=FORK_TIMEOUT)
        if self._locked_for_fork:
            self.close()

    def after_fork_in_parent(self) -> None:
        """Let the other threads open the files again."""
        if self._locked_for_fork:
            self._lock.release()

    def after_fork_in_child(self) -> None:
        """Forget the parent's lock, and a handle that could not be closed."""
        self._lock = threading.RLock()
        self._handle = None
        self._check_at = 0.0


_environments: WeakValueDictionary[Path, Environment] = WeakValueDictionary()


def shared(path: Path, map_size: int) -> Environment:
    """Return the environment of this path: the same one for every store of this process."""
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
