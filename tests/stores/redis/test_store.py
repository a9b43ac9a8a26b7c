from __future__ import annotations

import time

from mod_progress.stores.contract import Update
from mod_progress.stores.redis.store import _PUBLISH, PREFIX, RedisStore
from mod_progress.transfer import Snapshot, State
from tests.stores.store_servers import RedisServer, look

RUNNING = Snapshot(State.RUNNING, 50, 7, 100, 7, 200)
DONE = Snapshot(State.DONE, 100, 20, 100, 20, 200)


def test_what_was_said_before_the_end_and_comes_after_it_changes_nothing(
    redis_server: RedisServer,
) -> None:
    """A server that was frozen finds, in a connection given up long since, an old batch."""
    store = RedisStore(redis_server.url)
    start = time.monotonic_ns()
    late = store._arguments(Update("a", start, RUNNING, 30.0, first=True), time.monotonic_ns())
    store.publish([Update("a", start, DONE, 30.0, first=True)])
    assert store._client.run(_PUBLISH, [PREFIX + b"a"], [late]) == [(0, [0])]
    assert look(store, "a") == DONE
    store.close()


def test_the_server_expires_the_entries(redis_server: RedisServer) -> None:
    store = RedisStore(redis_server.url, lease=6.0)
    store.publish(
        [
            Update("runs", 1, RUNNING, 30.0, first=True),
            Update("done", 1, DONE, 30.0, first=True),
        ]
    )
    assert 35_000 < int(redis_server.command("PTTL", "mod_progress:runs")) <= 36_000
    assert 29_000 < int(redis_server.command("PTTL", "mod_progress:done")) <= 30_000
    store.close()
