"""The room that one upload takes, and the refusals where there is none."""

from __future__ import annotations

import os
from types import TracebackType
from typing import Self

from mod_progress.gateway.files.upload_limits import UploadLimits
from mod_progress.gateway.files.usage import RENEW_WHEN_FULL, Kind, Usage
from mod_progress.gateway.http.heads import Refusal

#: Bytes after which an upload looks again how much of the disk is free.
_LOOK_AGAIN = 4 * 1024**2

#: Bytes of a form beside its files, at most, where the form's size alone tells that it is too much.
FORM_OVERHEAD = 1024**2


class Reservation:
    """Counts what an upload saves. What was reserved and not kept is released at the end."""

    def __init__(self, directory: str, limits: UploadLimits, usage: Usage | None) -> None:
        self._directory = directory
        self._limits = limits
        self._usage = usage
        self._size = self._files = 0
        self._file_size = 0
        # How many bytes may come until the free space is looked at.
        self._unlooked = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._end()

    async def begin(self, size: int, files: int = 1) -> None:
        """Check that there is room for so many bytes more, as far as anybody knows.

        Raises `Refusal` (507), and OSError.
        """
        usage = self._usage
        if usage is not None:
            await usage.first_count()
            usage.keep_fresh()
            if self._is_too_much(usage, size, files):
                await usage.refresh(RENEW_WHEN_FULL)
            if self._is_too_much(usage, size, files):
                raise self._full()
        self._check_free_space(size)

    def _is_too_much(self, usage: Usage, size: int, files: int) -> bool:
        most_size, most_files = self._limits.total_size, self._limits.total_files
        return bool(
            (most_size and usage.total(Kind.BYTES) + size > most_size)
            or (most_files and usage.total(Kind.FILES) + files > most_files)
        )

    def check_file(self, size: int) -> None:
        """Raise `Refusal` (413) for a file of a size that is too large."""
        most = self._limits.file_size
        if most and size > most:
            raise Refusal(413, f"the file is larger than {most} bytes, the most for one file here")

    def add_file(self) -> None:
        """Reserve room for a new file; raises `Refusal` (507)."""
        self._file_size = 0
        if self._usage is not None:
            if not self._usage.reserve(Kind.FILES, 1, self._limits.total_files):
                raise self._full()
            self._files += 1

    def add(self, size: int) -> None:
        """Reserve room for more bytes of the file; raises `Refusal` (413, 507), and OSError."""
        self._file_size += size
        self.check_file(self._file_size)
        if self._usage is not None:
            if not self._usage.reserve(Kind.BYTES, size, self._limits.total_size):
                raise self._full()
            self._size += size
        self._unlooked -= size
        if self._unlooked < 0:
            self._check_free_space(size)

    def keep(self) -> None:
        """Note that what was reserved is saved now."""
        self._end(saved=True)

    def _end(self, saved: bool = False) -> None:
        if self._usage is not None:
            for kind, amount in ((Kind.BYTES, self._size), (Kind.FILES, self._files)):
                self._usage.release(kind, amount, amount if saved else 0)
        self._size = self._files = 0

    def _check_free_space(self, size: int) -> None:
        floor = self._limits.free_space
        if not floor:
            return
        self._unlooked = _LOOK_AGAIN
        status = os.statvfs(_existing(self._directory))
        if status.f_bavail * status.f_frsize - size < floor:
            raise Refusal(507, "the server's disk has too little free space for this upload")

    def _full(self) -> Refusal:
        limits = self._limits
        bounds = [f"{limits.total_size} bytes"] if limits.total_size else []
        bounds += [f"{limits.total_files} files"] if limits.total_files else []
        most = " and ".join(bounds)
        return Refusal(507, f"there is no room for this upload: the server keeps {most} at most")


def _existing(path: str) -> str:
    """Return the directory, or the nearest one above it that is there."""
    while not os.path.exists(path) and path != os.path.dirname(path):  # noqa: PTH110, PTH120
        path = os.path.dirname(path) or os.curdir  # noqa: PTH120
    return path
