"""What is written to disk for a client, and what is answered where that fails."""

from __future__ import annotations

import errno
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from io import FileIO

from mod_progress.gateway.http.heads import Refusal
from mod_progress.gateway.streams.errors import Cut

logger = logging.getLogger("mod_progress.gateway")

#: No room, no quota, or more than the file system takes in one file.
_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}


def write(file: FileIO, data: bytes | memoryview) -> None:
    """Write all of ``data``; raises OSError."""
    left = memoryview(data)
    while left:
        left = left[file.write(left) :]


@contextmanager
def disk_errors(place: str) -> Iterator[None]:
    """Turn an OSError of a file in ``place`` into a line of the log and a `Refusal` (507, 500)."""
    try:
        yield
    except Cut:  # an OSError too, but of a connection
        raise
    except OSError as error:
        logger.error("cannot write in %s: %s", place, error.strerror or error)
        status = 507 if error.errno in _FULL else 500
        raise Refusal(status, f"the disk: {error.strerror}") from None
