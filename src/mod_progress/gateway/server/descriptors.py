"""How many descriptors a process may open, and how many clients that is enough for."""

from __future__ import annotations

import logging
import resource
from contextlib import suppress

from mod_progress.gateway.limits import Limits

logger = logging.getLogger("mod_progress.gateway")

#: Descriptors that a worker needs for itself: sockets it listens on, logs, the store, pipes.
_RESERVED = 32


def raise_descriptor_limit() -> None:
    """Let each process open as many descriptors as the system permits it.

    The lower limit that most systems set is for programs that use select(2).
    """
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    # Refused on macOS where the hard limit is infinity; the limit that there is serves too.
    with suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def most_connections(wanted: int) -> int:
    """Return how many clients to serve at once: each may need a second descriptor, for a backend.

    The loop resets a client that comes when there is none left. So fewer clients are accepted, and
    the others wait in the listen queue.
    """
    files = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    if files == resource.RLIM_INFINITY:
        return wanted
    most = max(1, (files - _RESERVED) // 2)
    if most < wanted != Limits().connections:  # of the default nobody needs to hear
        logger.warning(
            "limits.connections is %d, but only %d open files are allowed: %d clients at once",
            *(wanted, files, most),
        )
    return min(most, wanted)
