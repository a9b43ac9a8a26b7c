from __future__ import annotations

import logging
from collections.abc import Iterator

import pytest
from hypothesis import settings

# The suite tries the same examples each time, so that it fails for a change alone. `make fuzz`
# looks for new ones.
settings.register_profile("suite", derandomize=True, deadline=None)
settings.load_profile("suite")


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
