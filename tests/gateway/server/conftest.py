from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.gateway.origin import Origin
from tests.gateway.serving import Serve, Serving
from tests.stores.store_servers import RedisServer


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Serve]:
    started: list[Serving] = []

    def start(text: str, *flags: str, **named: Any) -> Serving:
        started.append(Serving(tmp_path, text, *flags, **named))
        return started[-1]

    yield start
    for each in started:
        each.stop()


@pytest.fixture
def redis(tmp_path: Path) -> Iterator[RedisServer]:
    server = RedisServer(tmp_path, "--bind", "127.0.0.1")
    server.start()
    yield server
    server.kill()


@pytest.fixture
def origin() -> Iterator[Origin]:
    server = Origin()
    yield server
    server.stop()
