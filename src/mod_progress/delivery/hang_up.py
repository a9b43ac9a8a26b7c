"""Ends the connections of transfers that were cancelled, whatever server they belong to.

No interface of servers lets an app do that. But the sockets are those of this process. One that is
shut down looks to its server as if the client had left: whatever waits for the client wakes up.
"""

from __future__ import annotations

import _socket
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from queue import Empty, SimpleQueue

from mod_progress.delivery.sock_diag import Connection
from mod_progress.fork import renew_after_fork

__all__ = ["HangUps", "hang_ups"]

#: The descriptors of this process, on Linux.
_DESCRIPTORS = Path("/proc/self/fd")

#: What an IPv4 address begins with in an IPv6 socket (RFC 4291, section 2.5.5.2).
_MAPPED = "::ffff:"


class HangUps:
    """The connections that are to be ended."""

    def __init__(self) -> None:
        self.after_fork()
        renew_after_fork(self)

    def after_fork(self) -> None:
        """Start without any: those of the parent are its own."""
        self._keys: SimpleQueue[bytes] = SimpleQueue()

    def ask(self, key: bytes) -> None:
        """Note that a connection is to be ended; ``key`` is its `sock_diag.Connection.key`."""
        self._keys.put(key)

    def carry_out(self) -> None:
        """End what is to be ended. All descriptors are looked at once, 5 microseconds each."""
        if self._keys.empty():
            return
        wanted = set()
        with suppress(Empty):
            while True:
                wanted.add(self._keys.get_nowait())
        for entry in _DESCRIPTORS.iterdir():
            # A descriptor may be closed meanwhile, and a socket may have no peer.
            with suppress(OSError, ValueError), _socket_of(entry) as found:
                if found is not None and _key(found) in wanted:
                    found.shutdown(_socket.SHUT_RDWR)


@contextmanager
def _socket_of(entry: Path) -> Iterator[_socket.socket | None]:
    """Return a socket for a duplicate of a descriptor; None where it is not one of TCP.

    Without the duplicate, the descriptor might become that of another connection meanwhile. It is
    the bare socket, since gevent replaces the other one.
    """
    if entry.readlink().name.startswith("socket:"):
        duplicate = os.dup(int(entry.name))
    else:
        yield None
        return
    try:
        found = _socket.socket(fileno=duplicate)
    except OSError:
        os.close(duplicate)
        raise
    try:
        yield found if found.family in (_socket.AF_INET, _socket.AF_INET6) else None
    finally:
        found.close()


def _key(found: _socket.socket) -> bytes:
    own, peer = found.getsockname(), found.getpeername()
    return Connection(*((host.removeprefix(_MAPPED), port) for host, port, *_ in (own, peer))).key


hang_ups = HangUps()
