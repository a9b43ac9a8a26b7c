"""What the system knows of a socket, and what it can be told, by the socket's descriptor."""

from __future__ import annotations

import fcntl
import socket
import struct
import sys
import termios
from contextlib import suppress

HAVE_CORK = hasattr(socket, "TCP_CORK")

#: ``struct linger``: on, zero seconds. Closing such a socket sends a reset.
_RESET = struct.pack("ii", 1, 0)

#: Seconds of silence before the first question, and between two; how many stay unanswered.
_KEEP_ALIVE = {
    getattr(socket, name): value
    for name, value in (("TCP_KEEPIDLE", 60), ("TCP_KEEPINTVL", 20), ("TCP_KEEPCNT", 6))
    if hasattr(socket, name)
}

#: The option of macOS that counts the send queue, where no ioctl does (its sys/socket.h).
_SO_NWRITE = 0x1024

#: The ioctls below write one number into this.
_NUMBER = struct.Struct("i")


if sys.platform == "darwin":

    def unacknowledged(descriptor: int) -> int:
        """Return how many bytes in the socket's send queue the peer has not acknowledged."""
        borrowed = socket.socket(fileno=descriptor)
        try:
            return borrowed.getsockopt(socket.SOL_SOCKET, _SO_NWRITE)
        except OSError:
            return 0
        finally:
            borrowed.detach()

else:

    def unacknowledged(descriptor: int) -> int:
        """Return how many bytes in the socket's send queue the peer has not acknowledged."""
        # TIOCOUTQ is the other name of SIOCOUTQ (tcp(7)).
        return _count(descriptor, termios.TIOCOUTQ)


def unread(descriptor: int) -> int:
    """Return how many bytes have come that nobody has read from the socket."""
    return _count(descriptor, termios.FIONREAD)


def cork(descriptor: int, corked: bool) -> None:
    """Let the socket send full segments only, or, uncorked, whatever there is.

    uvloop switches Nagle's algorithm off. Without the cork the pages of a file go out one by one,
    and a large file takes twice the processor time.
    """
    if HAVE_CORK:
        _set_option(descriptor, socket.IPPROTO_TCP, socket.TCP_CORK, corked)


def reset_when_closed(descriptor: int) -> None:
    """Let the socket's close be a reset, so that the peer never takes it for a clean end."""
    _set_option(descriptor, socket.SOL_SOCKET, socket.SO_LINGER, _RESET)


def keep_alive(descriptor: int) -> None:
    """Let the system ask a silent peer, after a while, whether it is still there.

    A peer that was switched off sends nothing, also no end. Linux gives it up two minutes after the
    first question with these numbers.
    """
    _set_option(descriptor, socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for option, seconds in _KEEP_ALIVE.items():
        _set_option(descriptor, socket.IPPROTO_TCP, option, seconds)


def _count(descriptor: int, request: int) -> int:
    return int(_NUMBER.unpack(fcntl.ioctl(descriptor, request, bytes(_NUMBER.size)))[0])


def _set_option(descriptor: int, level: int, option: int, value: int | bytes) -> None:
    borrowed = socket.socket(fileno=descriptor)
    try:
        with suppress(OSError):  # a Unix socket has neither segments nor resets
            borrowed.setsockopt(level, option, value)
    finally:
        borrowed.detach()
