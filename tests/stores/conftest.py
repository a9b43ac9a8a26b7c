from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from mod_progress.stores.contract import Store
from mod_progress.stores.lmdb.store import LocalStore
from mod_progress.stores.memory import MemoryStore
from mod_progress.stores.redis.store import RedisStore
from tests.stores.store_servers import RedisServer

#: Opens a store over the same entries as another process has it.
Open = Callable[..., Store]


@pytest.fixture(autouse=True)
def _own_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Local stores of a test lie in its own directory."""
    tmp_path.chmod(0o700)
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))


@pytest.fixture(scope="session")
def shared_redis(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    server = RedisServer(tmp_path_factory.mktemp("redis"), "--bind", "127.0.0.1")
    server.start()
    yield server
    server.kill()


@pytest.fixture
def redis_server(shared_redis: RedisServer) -> RedisServer:
    """A server that all tests share, emptied for this one."""
    shared_redis.command("FLUSHALL")
    return shared_redis


@pytest.fixture
def own_redis(tmp_path: Path) -> Iterator[RedisServer]:
    """A server of this test alone, not started yet."""
    server = RedisServer(tmp_path, "--bind", "127.0.0.1")
    yield server
    server.kill()


@pytest.fixture(params=["memory", "local", "redis"])
def open_store(request: pytest.FixtureRequest) -> Iterator[Open]:
    """Opens a store; each is as another process has it, over the same entries."""
    opened: list[Store] = []
    memory: dict[float, MemoryStore] = {}

    def opens(lease: float = 6.0) -> Store:
        if request.param == "memory":
            store: Store = memory.setdefault(lease, MemoryStore(lease=lease))
        elif request.param == "local":
            store = LocalStore("conformance", lease=lease)
        else:
            server: RedisServer = request.getfixturevalue("redis_server")
            store = RedisStore(server.url, lease=lease)
        opened.append(store)
        return store

    yield opens
    for store in opened:
        store.close()
