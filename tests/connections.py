"""A real TCP connection on this machine, and waiting until a condition is true."""

import contextlib
import socket
import struct
import time
from collections.abc import Callable
from typing import Literal, TypeVar

DEADLINE = 30

T = TypeVar("T")


class Connection:
    """Both ends of a connection; the client's receive buffer is small, so that it can be full."""

    def __init__(self, host: str = "127.0.0.1", client_host: str | None = None) -> None:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        dual = family == socket.AF_INET6
        # It listens until the end, as servers do.
        self.listener = socket.create_server((host, 0), family=family, dualstack_ipv6=dual)
        port = self.listener.getsockname()[1]
        client_host = client_host or host
        self.client = socket.socket(socket.AF_INET6 if ":" in client_host else socket.AF_INET)
        self.client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
        self.client.connect((client_host, port))
        self.server, _ = self.listener.accept()
        self.server.setblocking(False)
        self.own, self.peer = self.server.getsockname()[:2], self.server.getpeername()[:2]

    def fill(self) -> int:
        """Send until the system takes no more; return how much that was."""
        total = 0
        with contextlib.suppress(BlockingIOError):
            while True:
                total += self.server.send(b"x" * 65536)
        return total

    def drain(self, size: int) -> None:
        """Let the client read so many bytes."""
        while size:
            size -= len(self.client.recv(min(size, 65536)))

    def reset(self) -> None:
        """Let the client vanish."""
        self.client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.client.close()

    def close(self) -> None:
        self.client.close()
        self.server.close()
        self.listener.close()


def wait_until(condition: Callable[[], T | Literal[False] | None]) -> T:
    """Wait until ``condition()`` is true; return what it returned."""
    deadline = time.monotonic() + DEADLINE
    while not (result := condition()):
        assert time.monotonic() < deadline, "it did not come about"
        time.sleep(0.005)
    return result
