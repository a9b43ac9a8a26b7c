"""Files that have no name at all until they are whole: O_TMPFILE of Linux (open(2))."""

from __future__ import annotations

import asyncio
import os
from contextlib import suppress
from io import FileIO

from mod_progress.gateway.files.new_file import NewFile, Saved
from mod_progress.gateway.files.part import PartFile
from mod_progress.gateway.streams.disk import write

#: 0 on systems that have no such files.
_TMPFILE: int = getattr(os, "O_TMPFILE", 0)

#: Bytes that are copied before the loop gets its turn.
_PIECE = 1024 * 1024

#: Directories in which a file without a name could be opened, but not be given one.
_unnameable: set[str] = set()


class UnnamedFile(NewFile):
    """A file without a name, so that not even a killed process leaves it behind."""

    def __init__(self, directory: str) -> None:
        """Open a new file in ``directory``; raises OSError."""
        super().__init__(directory, FileIO(directory, "wb", opener=_open))
        self._copy: PartFile | None = None

    async def publish(self, name: str) -> Saved:
        """Give the file its name, or one like it where that is taken; raises OSError.

        Where it cannot be given one (no /proc, or a file system that knows no links), a copy of it
        is published, and `open_new` opens no more of its kind in this directory.
        """
        try:
            return self._publish(name)
        except OSError:
            self._copy = PartFile(self.directory)
            self._copy.place = self.place
            await self._copy_to(self._copy.file)
            saved = await self._copy.publish(name)
        _unnameable.add(self.directory)
        return saved

    def withdraw(self) -> None:
        """Remove the file again, if it is published."""
        super().withdraw()
        if self._copy is not None:
            self._copy.withdraw()

    def close(self) -> None:
        """Close the file, and its copy where there is one."""
        super().close()
        if self._copy is not None:
            self._copy.close()

    def _give_name(self, path: str) -> None:
        descriptor = self.file.fileno()
        # With a directory given, Python calls linkat(2), which follows /proc's link to the file.
        os.link(f"/proc/self/fd/{descriptor}", path, src_dir_fd=descriptor, follow_symlinks=True)

    async def _copy_to(self, file: FileIO) -> None:
        position = 0
        while data := os.pread(self.file.fileno(), _PIECE, position):
            write(file, data)
            position += len(data)
            await asyncio.sleep(0)


def _open(directory: str, flags: int) -> int:
    # For reading too: a file that cannot be given a name is copied.
    return os.open(directory, os.O_RDWR | os.O_CLOEXEC | _TMPFILE, 0o666)


def open_new(directory: str) -> NewFile:
    """Return a new file in ``directory``, which is created if need be; raises OSError."""
    os.makedirs(directory, 0o755, exist_ok=True)  # noqa: PTH103
    if _TMPFILE and directory not in _unnameable:
        with suppress(OSError):  # a part works instead, or it fails for the same reason
            return UnnamedFile(directory)
    return PartFile(directory)
