from __future__ import annotations

import logging
from collections.abc import Iterator

import pytest


class _Failing(logging.Handler):
    def emit(self, record: logging.LogRecord) -> None:
        raise RuntimeError("the handler is broken")


@pytest.fixture
def broken_log() -> Iterator[None]:
    """Let whatever is logged meet a handler that fails."""
    handler = _Failing()
    logger = logging.getLogger("mod_progress")
    logger.addHandler(handler)
    yield
    logger.removeHandler(handler)
