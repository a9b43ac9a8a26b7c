"""Files that have no name until they are whole."""

from __future__ import annotations

import errno
import fcntl
import os
from contextlib import suppress
from io import FileIO
from secrets import token_hex
from types import TracebackType
from typing import Self

from mod_progress.gateway.files.filenames import candidates

_FLAGS = os.O_WRONLY | os.O_CLOEXEC

#: Names of drafts where a file system knows no files without one.
_PREFIX, _SUFFIX = ".upload-", ".part"

#: Directories where this process has swept the drafts of dead ones.
_swept: set[str] = set()


class Draft:
    """A file that is written, and that nobody sees until it is published.

    On Linux it has no name at all (O_TMPFILE), so that not even a killed process leaves it behind.
    """

    def __init__(self, directory: str) -> None:
        """Open a new file in ``directory``; raises OSError."""
        self._directory = directory
        self.file = FileIO(self._open(), "wb")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    @property
    def size(self) -> int:
        """Bytes written."""
        return os.fstat(self.file.fileno()).st_size

    def publish(self, name: str) -> str:
        """Give the file its name, or one like it if there is such a file; return the name.

        A link never replaces a file, whoever else writes into the directory (link(2)).
        """
        for candidate in candidates(name):
            with suppress(FileExistsError):
                self._link(os.path.join(self._directory, candidate))  # noqa: PTH118
                return candidate
        raise AssertionError("there is no end of candidates")

    def close(self) -> None:
        """Forget the draft; what was published stays."""
        self.file.close()

    def _open(self) -> int:
        return os.open(self._directory, _FLAGS | os.O_TMPFILE, 0o666)

    def _link(self, path: str) -> None:
        descriptor = self.file.fileno()
        # With a directory given, Python calls linkat(2), which follows /proc's link to the file.
        os.link(f"/proc/self/fd/{descriptor}", path, src_dir_fd=descriptor, follow_symlinks=True)


class NamedDraft(Draft):
    """A draft where a file system has no files without names: its name begins with a dot.

    Its lock tells that somebody writes it: one that is not locked was left by a dead process.
    """

    def close(self) -> None:
        """Remove the draft."""
        if not self.file.closed:
            with suppress(FileNotFoundError):
                os.unlink(self._path)  # noqa: PTH108
        super().close()

    def _open(self) -> int:
        if self._directory not in _swept:
            sweep(self._directory)
            _swept.add(self._directory)
        while True:
            name = f"{_PREFIX}{token_hex(8)}{_SUFFIX}"
            self._path = os.path.join(self._directory, name)  # noqa: PTH118
            descriptor = os.open(self._path, _FLAGS | os.O_CREAT | os.O_EXCL, 0o666)
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            if os.fstat(descriptor).st_nlink:
                return descriptor
            os.close(descriptor)  # swept before it was locked

    def _link(self, path: str) -> None:
        os.link(self._path, path)


def open_draft(directory: str) -> Draft:
    """Return a new draft in ``directory``, which is created if need be; raises OSError."""
    os.makedirs(directory, 0o755, exist_ok=True)  # noqa: PTH103
    if hasattr(os, "O_TMPFILE"):
        try:
            return Draft(directory)
        except OSError as error:
            if error.errno not in (errno.EOPNOTSUPP, errno.EISDIR):  # open(2): not there
                raise
    return NamedDraft(directory)


def sweep(directory: str) -> None:
    """Remove the drafts that dead processes left in ``directory``."""
    with os.scandir(directory) as entries:
        for entry in entries:
            if entry.name.startswith(_PREFIX) and entry.name.endswith(_SUFFIX):
                with suppress(OSError):  # locked, or gone by now
                    _remove_if_dead(entry.path)


def _remove_if_dead(path: str) -> None:
    descriptor = os.open(path, _FLAGS)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        os.unlink(path)  # noqa: PTH108
    finally:
        os.close(descriptor)
