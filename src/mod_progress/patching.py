"""Notices that gevent patched the process too late for the publisher."""

from __future__ import annotations

import logging
import time
from contextlib import suppress
from functools import cache

__all__ = ["warn_of_late_patching"]

logger = logging.getLogger("mod_progress")

#: ``time.sleep`` as it was when the publisher chose its locks and queues.
_SLEEP = time.sleep


@cache
def warn_of_late_patching() -> None:
    """Warn once if gevent replaced ``time.sleep`` too late.

    The locks and queues of the publisher then block all of gevent's greenlets.
    """
    if time.sleep is not _SLEEP:
        with suppress(Exception):  # a request must not fail because a log handler does
            logger.warning(
                "gevent patched this process after mod_progress was imported, so that requests wait"
                " for the thread that publishes transfers: patch first"
            )
