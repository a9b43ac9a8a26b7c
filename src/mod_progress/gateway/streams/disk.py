"""Writing to disk for a client, and the answer where the disk fails."""

from __future__ import annotations

import errno
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from io import FileIO

from mod_progress.gateway.http.heads import Refusal
from mod_progress.gateway.streams.errors import Cut

logger = logging.getLogger("mod_progress.gateway")

#: The faults that are 507 Insufficient Storage (RFC 4918, section 11.5), in words for the client.
_FULL = {
    errno.ENOSPC: "the server's disk is full",
    errno.EDQUOT: "the server's disk quota is used up",
    errno.EFBIG: "the body is larger than a file may be on the server's disk",
}


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
    except Cut:  # an OSError too, but one of a connection
        raise
    except OSError as error:
        logger.error("cannot write in %s: %s", place, error.strerror or error)
        if error.errno in _FULL:
            raise Refusal(507, _FULL[error.errno]) from None
        raise Refusal(500, "the server cannot write to its disk; its log says why") from None
