"""Ports for servers that take a number and no socket."""

from __future__ import annotations

import random
import socket
from contextlib import suppress
from pathlib import Path

#: The lowest port. Browsers refuse some that are lower.
_LOWEST = 11_000

#: Where Linux says which ports go to connections, and the first of them by default.
_RANGE = Path("/proc/sys/net/ipv4/ip_local_port_range")
_FIRST = 32_768

#: Not the generator that hypothesis gives the same seed in each process of the suite.
_random = random.SystemRandom()


def free_port() -> int:
    """Return a port at which nothing listens.

    It is none of those that go to connections: one of these could take it before the server does.
    It is a random one, so that two tests do not get the same.
    """
    end = int(_RANGE.read_text().split()[0]) if _RANGE.exists() else _FIRST
    while True:
        port = _random.randrange(_LOWEST, end)
        with suppress(OSError), socket.create_server(("127.0.0.1", port)):
            return port
