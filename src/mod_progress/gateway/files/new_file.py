"""What all files have in common that get their names when they are whole."""

from __future__ import annotations

import errno
import os
from contextlib import suppress
from io import FileIO
from types import TracebackType
from typing import NamedTuple, Self

from mod_progress.gateway.files.filenames import candidates, plain_name

#: What a file system answers to a name that it does not take: one with `?` or `:` on FAT and SMB,
#: one that is too long for it, or one that is not in its encoding.
_NAME_REFUSED = {errno.EINVAL, errno.ENAMETOOLONG, errno.EILSEQ}


class Saved(NamedTuple):
    """A file that was saved: its name, and its size in bytes."""

    name: str
    size: int


class NewFile:
    """A file in ``directory`` that is written, and then published under a name.

    What was not published when the file is closed is gone.
    """

    def __init__(self, directory: str, file: FileIO) -> None:
        self.directory = directory
        self.file = file
        #: The directory in which the file is published.
        self.place = directory
        self._published = ""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def move_to(self, folder: str) -> None:
        """Publish the file in ``folder`` below its directory, which is created if need be.

        Raises OSError: FileExistsError or NotADirectoryError where a file has the folder's name.
        """
        self.place = os.path.join(self.directory, folder)  # noqa: PTH118
        os.makedirs(self.place, 0o755, exist_ok=True)  # noqa: PTH103

    async def publish(self, name: str) -> Saved:
        """Give the file its name, or one like it where that is taken; raises OSError.

        A file system that refuses the name gets a plain one.
        """
        raise NotImplementedError

    def _publish(self, name: str) -> Saved:
        size = os.fstat(self.file.fileno()).st_size
        try:
            return Saved(self._name_like(name), size)
        except OSError as error:
            plain = plain_name(name)
            if error.errno not in _NAME_REFUSED or plain == name:
                raise
            return Saved(self._name_like(plain), size)

    def _name_like(self, name: str) -> str:
        """Give the file the first name like ``name`` that is free, and return it."""
        for candidate in candidates(name):
            path = os.path.join(self.place, candidate)  # noqa: PTH118
            try:
                self._give_name(path)
            except FileExistsError:
                continue
            self._published = path
            return candidate
        raise AssertionError("the candidates have no end")

    def withdraw(self) -> None:
        """Remove the file again, if it is published."""
        with suppress(OSError):
            if self._published and os.path.samestat(
                os.stat(self._published),  # noqa: PTH116
                os.fstat(self.file.fileno()),
            ):
                os.unlink(self._published)  # noqa: PTH108

    def close(self) -> None:
        """Close the file. What it held is published by now, or not wanted."""
        with suppress(OSError):
            self.file.close()

    def _give_name(self, path: str) -> None:
        """Give the file this name; raises FileExistsError where it is taken, and OSError."""
        raise NotImplementedError
