from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import settings

# The suite tries the same examples each time, so that it fails for a change alone. `make fuzz`
# looks for new ones.
settings.register_profile("suite", derandomize=True, deadline=None)
settings.load_profile("suite")


# coverage notes where each of its collectors was made, for its own debugging. It looks at all
# modules for that, in each process that a test forks: half of the time of a worker's start.
with suppress(ImportError):
    from coverage import collector

    vars(collector)["short_stack"] = lambda: ""

#: Where the files are that take longest. They come first, so that none is left when all other
#: processes have nothing to do.
SLOW = ("servers", "web", "terminal", "doctor", "stores", "cli")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Sort the files by how long they take, as far as that is known."""
    folders = [Path(__file__).parent / name for name in SLOW]

    def place(item: pytest.Item) -> int:
        return next((n for n, each in enumerate(folders) if each in item.path.parents), len(SLOW))

    items.sort(key=place)


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
