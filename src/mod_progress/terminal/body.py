"""The body of an upload: files as they are, or as a form. It is read while it is sent."""

from __future__ import annotations

import errno
import mimetypes
import os
import secrets
import stat
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from io import FileIO
from pathlib import Path
from urllib.parse import quote

#: Bytes that are read at a time.
PIECE = 1 << 16

#: The word for the standard input.
STDIN = "-"

#: Where the standard input is read. The interpreter's own file object would read ahead.
_STDIN_DESCRIPTOR = 0

_OTHER_TYPE = "application/octet-stream"


class FileError(Exception):
    """A file cannot be sent; the message names it and says why."""


@dataclass(frozen=True, slots=True)
class File:
    """A file to send, or the standard input."""

    path: str
    #: None where it is unknown until all is read, as of a pipe.
    size: int | None

    @property
    def name(self) -> str:
        """The last part of the path."""
        return Path(self.path).name if self.path != STDIN else STDIN

    @property
    def label(self) -> str:
        """What a person calls it."""
        return "standard input" if self.path == STDIN else self.name

    @property
    def media_type(self) -> str:
        """The type that the name tells."""
        return mimetypes.guess_type(self.name)[0] or _OTHER_TYPE

    def pieces(self) -> Iterator[bytes]:
        """Yield what is in it: as much as its size tells. Raises `FileError`."""
        left = self.size
        try:
            with _open(self.path) as file:
                while left is None or left > 0:
                    piece = os.read(file.fileno(), PIECE if left is None else min(PIECE, left))
                    if not piece:
                        break
                    if left is not None:
                        left -= len(piece)
                    yield piece
        except OSError as error:
            raise FileError(f"{self.path}: {error.strerror}") from error
        if left:
            raise FileError(f"{self.path}: it became shorter while it was sent")


def find_file(path: str) -> File:
    """Return a file that can be read. Raises `FileError`."""
    try:
        status = os.fstat(_STDIN_DESCRIPTOR) if path == STDIN else Path(path).stat()
        if path != STDIN and not os.access(path, os.R_OK):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
        size = status.st_size if stat.S_ISREG(status.st_mode) else None
        if size is not None and path == STDIN:
            size = max(0, size - os.lseek(_STDIN_DESCRIPTOR, 0, os.SEEK_CUR))
    except (OSError, ValueError) as error:
        raise FileError(f"{path}: {getattr(error, 'strerror', None) or error}") from None
    if stat.S_ISDIR(status.st_mode):
        raise FileError(f"{path}: it is a directory; send its files")
    return File(path, size)


def _open(path: str) -> FileIO:
    """Open a file without a buffer: it is sent in the pieces that are read."""
    if path == STDIN:
        return FileIO(_STDIN_DESCRIPTOR, closefd=False)
    return FileIO(path)


@dataclass(frozen=True, slots=True)
class Body:
    """What is sent: parts one after the other, which are files or bytes."""

    media_type: str
    parts: tuple[File | bytes, ...]

    @property
    def size(self) -> int | None:
        """Bytes of the whole; None where that of a file is unknown."""
        sizes = [len(each) if isinstance(each, bytes) else each.size for each in self.parts]
        return None if None in sizes else sum(filter(None, sizes))

    def pieces(self) -> Iterator[bytes]:
        """Yield all of it. Raises `FileError`."""
        for part in self.parts:
            if isinstance(part, bytes):
                yield part
            else:
                yield from part.pieces()


def form(name: str, files: Sequence[File]) -> Body:
    """Return the files as a form in which the field ``name`` has them all (RFC 7578)."""
    boundary = f"----mod-progress-{secrets.token_hex(16)}"
    parts: list[File | bytes] = []
    for file in files:
        fields = (
            f'Content-Disposition: form-data; name="{_escape(name)}"; '
            f'filename="{_escape(file.name)}"\r\nContent-Type: {file.media_type}\r\n\r\n'
        )
        start = "\r\n" if parts else ""
        parts += [f"{start}--{boundary}\r\n{fields}".encode(errors="surrogateescape"), file]
    parts.append(f"\r\n--{boundary}--\r\n".encode())
    return Body(f"multipart/form-data; boundary={boundary}", tuple(parts))


def _escape(text: str) -> str:
    """Escape a name as browsers do (HTML standard, section 4.10.21.8)."""
    return text.replace('"', "%22").replace("\r", "%0D").replace("\n", "%0A")


def disposition(file: File) -> str:
    """Return the Content-Disposition of a file that is sent as it is (RFC 6266, RFC 8187)."""
    name = quote(file.name, safe="", errors="surrogateescape")
    return f"attachment; filename*=UTF-8''{name}"
