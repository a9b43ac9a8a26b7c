"""What a directory of uploads holds: counted once, then kept by all processes that save there.

The numbers are in memory that workers inherit from the supervisor, of this configuration and of the
one before it. Somebody else may delete files, so the directory is counted anew now and then.
"""

from __future__ import annotations

import asyncio
import fcntl
import mmap
import os
import tempfile
import time
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from enum import IntEnum

from mod_progress.fault_log import FaultLog
from mod_progress.gateway.files.part import is_part

#: Seconds after which a directory is counted anew, and after which it is where an upload would be
#: refused: somebody may have made room.
RENEW = 60.0
RENEW_WHEN_FULL = 2.0

#: The pause after a count is at least this many times as long as the count took.
_BACK_OFF = 20

#: Processes that save at one time: two configurations with the most workers each.
_MOST_SLOTS = 2048

# Where the numbers are, each of 64 bits.
_COUNTED, _SAVED, _MOMENT, _TOOK, _COUNTS, _SLOTS, _FIRST_SLOT = 0, 2, 4, 5, 6, 7, 8


class Kind(IntEnum):
    """What is counted."""

    BYTES = 0
    FILES = 1


class Usage:
    """The files in a directory and below it, and the room that uploads in flight have reserved.

    Each process notes in a slot of its own what it has reserved. It holds a lock on the slot, which
    the system releases when the process dies. So nothing stays reserved for a dead one.
    """

    def __init__(self, directory: str) -> None:
        """Make the memory that is shared with processes forked from now on; raises OSError."""
        self.directory = directory
        self._file = _shared_file()
        weakref.finalize(self, os.close, self._file)
        os.truncate(self._file, 8 * (_FIRST_SLOT + 2 * _MOST_SLOTS))
        self._numbers = memoryview(mmap.mmap(self._file, 0)).cast("q")
        self._owner = -1
        self._slot = _FIRST_SLOT
        self._counting: asyncio.Task[None] | None = None
        self._faults = FaultLog()

    def total(self, kind: Kind) -> int:
        """Return what there is, with what is reserved."""
        numbers = self._numbers
        end = _FIRST_SLOT + 2 * numbers[_SLOTS]
        reserved = sum(numbers[_FIRST_SLOT + kind : end : 2])
        return numbers[_COUNTED + kind] + numbers[_SAVED + kind] + reserved

    def reserve(self, kind: Kind, amount: int, most: int) -> bool:
        """Reserve room, unless there would be more than ``most`` in all; 0: any amount."""
        with self._locked():
            if most and self.total(kind) + amount > most:
                return False
            self._numbers[self._slot + kind] += amount
            return True

    def release(self, kind: Kind, amount: int, saved: int = 0) -> None:
        """Give room back, of which so much is taken up by what was saved."""
        with self._locked():
            self._numbers[self._slot + kind] -= amount
            self._numbers[_SAVED + kind] += saved

    # Counting.

    def keep_fresh(self) -> None:
        """Begin to count anew where the numbers are old."""
        if self._is_due(RENEW):
            self._count_soon().add_done_callback(self._report)

    async def first_count(self) -> None:
        """Wait until the directory is counted once; raises OSError."""
        if not self._numbers[_COUNTS]:
            await asyncio.shield(self._count_soon())

    async def refresh(self, age: float) -> None:
        """Count anew where the numbers are older than ``age`` seconds; raises OSError."""
        if self._is_due(age):
            await asyncio.shield(self._count_soon())

    def _is_due(self, age: float) -> bool:
        pause = max(int(age * 1000), _BACK_OFF * self._numbers[_TOOK])
        return _milliseconds() - self._numbers[_MOMENT] >= pause

    def _count_soon(self) -> asyncio.Task[None]:
        if self._counting is None or self._counting.done():
            self._counting = asyncio.get_running_loop().create_task(self._count())
        return self._counting

    async def _count(self) -> None:
        began = self._numbers[_MOMENT] = _milliseconds()  # others need not count now
        with self._locked():
            before = tuple(self._numbers[_SAVED : _SAVED + 2])
        counted = await asyncio.to_thread(count, self.directory)
        with self._locked():
            # What was saved during the count may be in it: it is counted twice until the next one.
            for kind in Kind:
                self._numbers[_COUNTED + kind] = counted[kind] - before[kind]
            self._numbers[_TOOK] = _milliseconds() - began
            self._numbers[_COUNTS] += 1
            self._forget_dead()

    def _report(self, counting: asyncio.Task[None]) -> None:
        if not counting.cancelled() and (error := counting.exception()) is not None:
            self._faults.report(f"{self.directory} could not be counted", error)

    # Slots.

    @contextmanager
    def _locked(self) -> Iterator[None]:
        """Let no other process change the numbers. The lock ends with its process."""
        fcntl.lockf(self._file, fcntl.LOCK_EX, 1)
        try:
            if self._owner != os.getpid():
                self._slot = self._claim()
                self._owner = os.getpid()
                self._forget_dead()
            yield
        finally:
            fcntl.lockf(self._file, fcntl.LOCK_UN, 1)

    def _claim(self) -> int:
        """Take the first slot that no living process has."""
        for number in range(_MOST_SLOTS):
            if self._lock_slot(number):
                self._numbers[_SLOTS] = max(self._numbers[_SLOTS], number + 1)
                return self._clear(number)
        raise OSError(f"more than {_MOST_SLOTS} processes save in {self.directory}")

    def _forget_dead(self) -> None:
        for number in range(self._numbers[_SLOTS]):
            if _FIRST_SLOT + 2 * number != self._slot and self._lock_slot(number):
                self._clear(number)
                fcntl.lockf(self._file, fcntl.LOCK_UN, 1, 1 + number)

    def _lock_slot(self, number: int) -> bool:
        try:
            fcntl.lockf(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, 1 + number)
        except (BlockingIOError, PermissionError):  # POSIX allows EAGAIN and EACCES
            return False
        return True

    def _clear(self, number: int) -> int:
        slot = _FIRST_SLOT + 2 * number
        for kind in Kind:
            self._numbers[slot + kind] = 0
        return slot


#: One for each directory: two `upload.store`, and two configurations, count together.
_usages: weakref.WeakValueDictionary[str, Usage] = weakref.WeakValueDictionary()


def usage_of(directory: str) -> Usage:
    """Return what a directory holds; raises OSError.

    To be called before workers are forked: they share what was there then.
    """
    path = os.path.realpath(directory)
    usage = _usages.get(path)
    if usage is None:
        usage = _usages[path] = Usage(path)
    return usage


def count(directory: str) -> tuple[int, int]:
    """Return the bytes and the number of the files in a directory and below it.

    Parts of uploads are left out: they are reserved. A directory that is not there holds nothing.
    """
    size = files = 0
    for place, _, names in os.walk(directory):
        for name in names:
            if is_part(name):
                continue
            try:
                size += os.lstat(os.path.join(place, name)).st_size  # noqa: PTH118
            except OSError:  # gone by now
                continue
            files += 1
    return size, files


def _shared_file() -> int:
    if hasattr(os, "memfd_create"):
        return os.memfd_create("mod_progress-usage")
    with tempfile.TemporaryFile() as file:
        return os.dup(file.fileno())


def _milliseconds() -> int:
    """Return the time by the clock that all processes of a machine share."""
    return int(time.monotonic() * 1000)
