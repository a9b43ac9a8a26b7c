from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from mod_progress.tracker import Tracker
from tests.clock import Clock
from tests.show.driven_ticker import DrivenTicker
from tests.show.list_viewer import Site
from tests.stores.store_servers import RedisServer


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def tracker() -> Tracker:
    return Tracker()


@pytest.fixture
def ticker(tracker: Tracker, clock: Clock) -> DrivenTicker:
    return DrivenTicker(tracker, clock)


@pytest.fixture
def redis_server(tmp_path: Path) -> Iterator[RedisServer]:
    """A server of this test alone, whose password is ``geheim``."""
    server = RedisServer(tmp_path, "--bind", "127.0.0.1", "--requirepass", "geheim")
    server.start()
    yield server
    server.kill()


@pytest.fixture
def site() -> Site:
    return Site()
