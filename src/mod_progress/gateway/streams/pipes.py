"""Pipes for bodies that never enter Python."""

from __future__ import annotations

import fcntl
import os
from contextlib import suppress

#: Bytes that a pipe is asked to hold. The kernel may give less (/proc/sys/fs/pipe-max-size).
_PIPE_SIZE = 1024 * 1024


class NoBypass(OSError):
    """The kernel cannot move the bytes, so they are to be copied.

    There is no pipe to borrow, as the process or the system has too many open files, or a file
    cannot be sent.
    """


class Pipes:
    """Pipes to borrow. A pipe is held only while bytes are inside.

    So ten thousand slow transfers need few, and the per-user limit of pipe pages
    (/proc/sys/fs/pipe-user-pages-soft) is not reached.
    """

    #: How many are kept open while nobody needs them.
    KEPT = 64

    def __init__(self) -> None:
        self._idle: list[tuple[int, int]] = []

    def borrow(self) -> tuple[int, int]:
        """Return the reading and the writing end of an empty pipe; raises `NoBypass`."""
        if self._idle:
            return self._idle.pop()
        try:
            reader, writer = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        except OSError as error:
            raise NoBypass(error.errno, error.strerror) from None
        with suppress(OSError):  # over the user's limit: the size that the kernel gave will do
            fcntl.fcntl(writer, fcntl.F_SETPIPE_SZ, _PIPE_SIZE)
        return reader, writer

    def give_back(self, pipe: tuple[int, int], empty: bool = True) -> None:
        """Take a pipe back; a pipe that still holds bytes of a cut body is closed."""
        if empty and len(self._idle) < self.KEPT:
            self._idle.append(pipe)
        else:
            os.close(pipe[0])
            os.close(pipe[1])


#: Those of this process.
pipes = Pipes()
