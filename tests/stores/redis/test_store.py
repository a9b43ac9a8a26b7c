from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from mod_progress.stores.contract import Update
from mod_progress.stores.redis.store import _DETAILS_AT, _PUBLISH, PREFIX, RedisStore
from mod_progress.transfer import UNKNOWN, Snapshot, State
from tests.stores.store_servers import RedisServer, eventually, listed, look, look_many

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
    assert 35_000 < int(redis_server.command("PTTL", "mod_progress:v3:runs")) <= 36_000
    assert 29_000 < int(redis_server.command("PTTL", "mod_progress:v3:done")) <= 30_000
    store.close()


@pytest.fixture
def store(redis_server: RedisServer) -> Iterator[RedisStore]:
    store = RedisStore(redis_server.url)
    yield store
    store.close()


#: What another program may have written under our prefix, as words of redis-cli.
FOREIGN = {
    "empty": ["SET", ""],
    "short": ["SET", "hello"],
    "as long as an entry": ["SET", "z" * _DETAILS_AT],
    "a list": ["RPUSH", "x"],
    "a hash": ["HSET", "field", "x"],
    "a set": ["SADD", "x"],
}


def write_foreign(server: RedisServer) -> list[str]:
    identifiers = []
    for number, (command, *words) in enumerate(FOREIGN.values()):
        identifiers.append(f"foreign{number}")
        server.command(command, f"mod_progress:v3:{identifiers[-1]}", *words)
    return identifiers


def test_values_of_another_program_read_as_unknown(
    redis_server: RedisServer, store: RedisStore, caplog: pytest.LogCaptureFixture
) -> None:
    identifiers = write_foreign(redis_server)
    store.publish([Update("mine", 1, RUNNING, 30.0, first=True)])
    assert look_many(store, ["mine", *identifiers, "mine"]) == [
        RUNNING,
        *[UNKNOWN] * len(FOREIGN),
        RUNNING,
    ]
    for identifier in identifiers:
        assert look(store, identifier) == UNKNOWN
        assert look(store, "mine") == RUNNING
    assert listed(store) == {"mine": RUNNING}
    assert not caplog.records


def test_a_transfer_replaces_the_value_of_another_program(
    redis_server: RedisServer, store: RedisStore
) -> None:
    identifiers = write_foreign(redis_server)
    # All but the one that looks like the entry of a later transfer.
    identifiers.remove("foreign2")
    updates = [Update(each, 1, RUNNING, 30.0, first=True) for each in identifiers]
    assert store.publish(updates).displaced == []
    assert look_many(store, identifiers) == [RUNNING] * len(identifiers)


def test_keys_that_are_no_ids_are_not_listed(redis_server: RedisServer, store: RedisStore) -> None:
    for key in "", " ", "\u00e9", "x" * 129:
        redis_server.command("SET", f"mod_progress:v3:{key}", "hello")
    store.publish([Update("mine", 1, RUNNING, 30.0, first=True)])
    assert listed(store) == {"mine": RUNNING}


def test_two_versions_of_the_layout_do_not_meet(
    redis_server: RedisServer, store: RedisStore
) -> None:
    store.publish([Update("a", 1, RUNNING, 30.0, first=True)])
    assert redis_server.command("KEYS", "*") == "mod_progress:v3:a"
    redis_server.command("RENAME", "mod_progress:v3:a", "mod_progress:a")
    eventually(lambda: look(store, "a") == UNKNOWN)
