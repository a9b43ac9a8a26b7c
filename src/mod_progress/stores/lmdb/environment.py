"""An LMDB environment: the open files of a store, which all stores of a process share."""

from __future__ import annotations

import errno
import fcntl
import os
import shutil
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from weakref import WeakValueDictionary

import lmdb

from mod_progress.fork import for_each
from mod_progress.stores.contract import StoreBusy, StoreError
from mod_progress.stores.lmdb.directory import bases, machine, private_directory, remove_abandoned

__all__ = ["DAMAGED", "FAULTS", "Environment", "shared", "store_errors", "why"]

#: Faults of the files that would stay.
DAMAGED = (lmdb.MapFullError, lmdb.CorruptedError, lmdb.InvalidError, lmdb.PanicError)

#: All faults of the files.
FAULTS = (lmdb.Error, OSError, StoreError)

#: How many readers there may be at one moment, in all processes: LMDB keeps a slot for each.
MAX_READERS = 1024

#: Bytes of LMDB's lock file: a cache line for each slot, and some for its head.
LOCK_SIZE = 64 * (MAX_READERS + 64)

#: Seconds that a fork waits for a batch that is being written.
FORK_TIMEOUT = 1.0

#: Seconds between two checks of whether the files are still there, or can be opened now: only one
#: lookup in that time pays for the check.
CHECK = 1.0

#: Seconds between two attempts to become the writer while another process is.
POLL = 0.002

#: What this process or the system has too little of for a moment. To open the files in another
#: place would not help, and would part this process from the others.
_EXHAUSTED = (errno.EMFILE, errno.ENFILE, errno.ENOMEM)


@contextmanager
def store_errors() -> Iterator[None]:
    """Raise `StoreError` for every fault of the files."""
    try:
        yield
    except FAULTS as error:
        raise StoreError(why(error)) from error


def why(error: Exception) -> str:
    """Return what the log says of a fault of the files."""
    if isinstance(error, lmdb.MapFullError):
        return "it is full"
    return str(error) or type(error).__name__


class Environment:
    """The open files of a store, in the first place that has room for them and is safe.

    LMDB forbids to open them twice in a process and to use them across a fork. So all stores of
    this process with the same ``stem`` share one environment, and it is closed during a fork.

    ``stem`` begins the directory's name, ``runtime`` is the value of XDG_RUNTIME_DIR, and
    ``map_size`` the largest size of the data in bytes.
    """

    def __init__(self, stem: str, runtime: str | None, map_size: int) -> None:
        self._stem = stem
        self._runtime = runtime
        self._map_size = map_size
        self._directory: Path | None = None
        self._opened: list[tuple[int, int]] = []
        self._handle: lmdb.Environment | None = None
        # The descriptor of a file that the writing process keeps locked.
        self._writer_lock = -1
        self._check_at = 0.0
        self._failure: Exception | None = None
        # Held while a thread opens, closes, writes or forks. Readers need no lock.
        self._lock = threading.RLock()
        self._locked_for_fork = False

    def __del__(self) -> None:
        # LMDB's handle closes by itself, when the last transaction that uses it is gone.
        if self._handle is not None:
            os.close(self._writer_lock)

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

    @contextmanager
    def walking(self) -> Iterator[lmdb.Transaction[bytes]]:
        """Return a transaction that reads much. No fork of this process interrupts it.

        A fork closes the files, also under a transaction of another thread. Raises as `handle`.
        """
        with self._lock, self.handle().begin() as transaction:
            yield transaction

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
            if self._directory is not None:
                away = self._directory.with_name(f"{self._stem}.away.{os.urandom(8).hex()}")
                with suppress(FileNotFoundError):
                    self._directory.rename(away)
                    shutil.rmtree(away)

    def _open(self) -> lmdb.Environment:
        """Return the handle of the files that are there: others may have deleted the old ones."""
        if self._handle is not None and self._identities() != self._opened:
            self.close()
        if self._handle is None:
            self._handle = self._open_somewhere()
        self._handle.reader_check()
        return self._handle

    def _open_somewhere(self) -> lmdb.Environment:
        """Open the files in the first place where that works."""
        faults = []
        for base in bases(self._runtime):
            try:
                self._directory = private_directory(base) / f"{self._stem}.{machine()}"
                return self._open_files(self._directory)
            except DAMAGED:
                raise
            except (StoreError, OSError, lmdb.Error) as error:
                if isinstance(error, OSError) and error.errno in _EXHAUSTED:
                    raise
                why = error.strerror if isinstance(error, OSError) else error
                faults.append(f"{base}: {why}")
        raise StoreError(f"its files cannot be opened ({'; '.join(faults)})")

    def _open_files(self, directory: Path) -> lmdb.Environment:
        with suppress(FileExistsError):
            directory.mkdir(mode=0o700)
            remove_abandoned(directory, self._stem)
        with ExitStack() as opened:
            writer_lock = os.open(directory / "writer.lock", os.O_RDWR | os.O_CREAT, 0o600)
            opened.callback(os.close, writer_lock)
            _allocate(directory / "lock.mdb", LOCK_SIZE)
            handle = lmdb.open(
                os.fspath(directory),
                map_size=self._map_size,
                max_readers=MAX_READERS,
                mode=0o600,
                # Nothing outlives a boot, so nothing needs to wait for a disk.
                sync=False,
                metasync=False,
                # With a writable map, a full /dev/shm would end the process by SIGBUS.
                writemap=False,
            )
            opened.callback(handle.close)
            self._opened = self._identities()
            opened.pop_all()
        self._writer_lock = writer_lock
        return handle

    def _identities(self) -> list[tuple[int, int]]:
        """Return what tells the files from others of the same names; nothing if one is missing."""
        if self._directory is not None:
            files = [self._directory / name for name in ("data.mdb", "lock.mdb")]
            with suppress(OSError):
                return [(found.st_dev, found.st_ino) for found in map(Path.stat, files)]
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
        """Forget the parent's lock, and the files if they could not be closed."""
        self._lock = threading.RLock()
        self._check_at = 0.0
        if self._handle is not None:
            # Otherwise this process would keep the writers' lock when the parent is killed. LMDB's
            # own descriptors stay open: it can close them only in the process that opened them.
            os.close(self._writer_lock)
            self._handle = None


def _allocate(path: Path, size: int) -> None:
    """Make a file that has all its pages. Raises OSError if there is no room for them.

    LMDB maps its lock file and writes to the map. If a page is missing then, and the disk is full,
    the system ends the process by SIGBUS.
    """
    if hasattr(os, "posix_fallocate"):
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            os.posix_fallocate(descriptor, 0, size)
        finally:
            os.close(descriptor)


_Key = tuple[str, str | None]

_environments: WeakValueDictionary[_Key, Environment] = WeakValueDictionary()


def shared(stem: str, runtime: str | None, map_size: int) -> Environment:
    """Return the environment with this stem: the same one for every store of this process."""
    return _environments.setdefault((stem, runtime), Environment(stem, runtime, map_size))


def _each(step: Callable[[Environment], None]) -> Callable[[], None]:
    def hook() -> None:
        # The references are copied at once: another thread may open a store meanwhile.
        environments = [reference() for reference in _environments.valuerefs()]
        for_each([each for each in environments if each is not None], step)

    return hook


os.register_at_fork(
    before=_each(Environment.before_fork),
    after_in_parent=_each(Environment.after_fork_in_parent),
    after_in_child=_each(Environment.after_fork_in_child),
)
