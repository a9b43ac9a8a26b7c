"""Giving a file another name, so that no other file is ever replaced.

No single way works on every file system, so the next one is tried where one fails. Only the last
one has a gap, and it needs nothing but O_EXCL and rename(2).
"""

from __future__ import annotations

import ctypes
import errno
import os
from collections.abc import Callable
from contextlib import suppress

#: linux/fcntl.h and linux/fs.h.
_AT_FDCWD = -100
_RENAME_NOREPLACE = 1


def rename_new(source: str, target: str) -> None:
    """Rename the file ``source`` to ``target``, which must be new.

    Raises FileExistsError where there is anything at ``target``, and else the OSError of the last
    way that was tried. ``source`` stays then.
    """
    for way in (_link, _rename_no_replace):
        try:
            way(source, target)
        except FileExistsError:
            raise
        except OSError:
            continue  # FAT, SMB and many FUSE file systems have no links, others no flag
        return
    _replace_placeholder(source, target)


def _link(source: str, target: str) -> None:
    os.link(source, target)
    with suppress(OSError):  # the file has its name, and that is what counts
        os.unlink(source)  # noqa: PTH108


def _rename_no_replace(source: str, target: str) -> None:
    """Rename as renameat2(2) does with RENAME_NOREPLACE; Python has no function for it."""
    if _renameat2 is None:
        raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS))
    paths = os.fsencode(source), os.fsencode(target)
    if _renameat2(_AT_FDCWD, paths[0], _AT_FDCWD, paths[1], _RENAME_NOREPLACE):
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), target)


def _find_renameat2() -> Callable[[int, bytes, int, bytes, int], int] | None:
    try:
        function = ctypes.CDLL(None, use_errno=True).renameat2
    except (AttributeError, OSError):  # another system, or an old C library
        return None
    path = ctypes.c_char_p
    function.argtypes = (ctypes.c_int, path, ctypes.c_int, path, ctypes.c_uint)
    return function


_renameat2 = _find_renameat2()


def _replace_placeholder(source: str, target: str) -> None:
    """Create an empty file of our own at ``target``, then replace it.

    An empty file is seen for a moment. A file that somebody else puts in its place in that moment
    is replaced.
    """
    os.close(os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o666))
    try:
        os.replace(source, target)  # noqa: PTH105
    except BaseException:
        with suppress(OSError):
            os.unlink(target)  # noqa: PTH108
        raise
