"""Files that have a hidden name until they are whole; every file system knows these."""

from __future__ import annotations

import fcntl
import logging
import os
import time
from contextlib import suppress
from io import FileIO
from secrets import token_hex

from mod_progress.gateway.files.new_file import NewFile, Saved
from mod_progress.gateway.files.rename import rename_new

logger = logging.getLogger("mod_progress.gateway")

_PREFIX, _SUFFIX = ".upload-", ".part"

#: Seconds for which a part must not have changed before it can be called dead. The first is for
#: file systems whose locks tell whether a process still writes the part. The second is for those
#: without locks: no upload stands still for so long.
_AGE_WITH_LOCKS = 60.0
_AGE_WITHOUT_LOCKS = 24 * 3600.0

#: Seconds after which a directory is swept again.
_SWEEP_AGAIN = 3600.0

#: When this process swept a directory, by the monotonic clock.
_swept: dict[str, float] = {}


class PartFile(NewFile):
    """A file with a hidden name; its lock tells other processes that somebody writes it."""

    def __init__(self, directory: str) -> None:
        """Open a new file in ``directory``; raises OSError."""
        self._part = os.path.join(directory, f"{_PREFIX}{token_hex(8)}{_SUFFIX}")  # noqa: PTH118
        super().__init__(directory, FileIO(self._part, "xb"))
        with suppress(OSError):  # NFS without its lock daemon, some FUSE file systems
            fcntl.flock(self.file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        self._sweep()

    def close(self) -> None:
        """Close the file, and remove it where it was not published."""
        try:
            if not self.file.closed:
                os.unlink(self._part)  # noqa: PTH108
        except FileNotFoundError:
            pass
        except OSError as error:
            logger.warning("cannot remove %s: %s", self._part, error.strerror)
        super().close()

    async def publish(self, name: str) -> Saved:
        """Give the file its name, or one like it where that is taken; raises OSError.

        A file system on a network tells only when a descriptor is closed that it could not keep
        what was written (close(2)). So one is closed here; the file stays open for its lock.
        """
        os.close(os.dup(self.file.fileno()))
        return self._publish(name)

    def _give_name(self, path: str) -> None:
        rename_new(self._part, path)

    def _sweep(self) -> None:
        now = time.monotonic()
        if now < _swept.get(self.directory, -_SWEEP_AGAIN) + _SWEEP_AGAIN:
            return
        _swept[self.directory] = now
        try:
            sweep(self.directory, os.fstat(self.file.fileno()).st_mtime)
        except OSError as error:
            logger.warning("cannot look for dead parts in %s: %s", self.directory, error.strerror)


def is_part(name: str) -> bool:
    """Whether a file of this name is an upload that is not whole."""
    return name.startswith(_PREFIX) and name.endswith(_SUFFIX)


def sweep(directory: str, now: float) -> None:
    """Remove the parts that dead processes left in ``directory``; raises OSError.

    ``now`` is the time by the clock of the file system, which may be that of another machine.
    """
    with os.scandir(directory) as entries:
        for entry in entries:
            if is_part(entry.name):
                with suppress(OSError):  # gone by now, or not ours to remove
                    _remove_if_dead(entry.path, now)


def _remove_if_dead(path: str, now: float) -> None:
    # O_NONBLOCK, so that nobody waits for the other end of a FIFO.
    descriptor = os.open(path, os.O_WRONLY | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        if now - os.fstat(descriptor).st_mtime > _least_age(descriptor):
            os.unlink(path)  # noqa: PTH108
    finally:
        os.close(descriptor)


def _least_age(descriptor: int) -> float:
    """Return the age in seconds from which a part is dead; raises BlockingIOError if it is not."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise
    except OSError:
        return _AGE_WITHOUT_LOCKS
    return _AGE_WITH_LOCKS
