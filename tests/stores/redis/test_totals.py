"""The totals in Redis: what is added twice, and transfers whose process died."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from mod_progress.stores.contract import Update
from mod_progress.stores.listing import Query
from mod_progress.stores.redis.store import RedisStore
from mod_progress.stores.totals import Totals
from mod_progress.transfer import Snapshot, State
from tests.stores.store_servers import RedisServer, eventually, look, page
from tests.stores.test_totals import ends

RUNNING = Snapshot(State.RUNNING, 50, 7, 100, 7, 200)


@pytest.fixture
def store(redis_server: RedisServer, monkeypatch: pytest.MonkeyPatch) -> Iterator[RedisStore]:
    monkeypatch.setattr("mod_progress.stores.walks.KEEP", 0.0)
    store = RedisStore(redis_server.url, lease=0.05)
    yield store
    store.close()


def totals_of(store: RedisStore) -> dict[str, int]:
    found = page(store, Query(limit=1)).totals
    assert found is not None
    return ends(found)


def test_what_is_added_again_after_a_lost_answer_counts_once(store: RedisStore) -> None:
    for _ in range(2):
        totals = Totals()
        totals.count_end(RUNNING._replace(state=State.DONE), 1.0)
        for _ in range(3):
            store.add_totals(totals)
    assert totals_of(store) == {"upload done": 2}


def test_transfers_of_a_process_that_died_count_once_as_errors(
    store: RedisStore, redis_server: RedisServer
) -> None:
    other = RedisStore(redis_server.url, lease=0.05)
    dead = [Update(f"dead{number}", 1_000, RUNNING, 20.0, first=True) for number in range(5)]
    lives = RedisStore(redis_server.url, lease=60.0)
    lives.publish([Update("lives", 1_000, RUNNING, 20.0, first=True)])
    other.publish(dead)
    eventually(lambda: totals_of(store) == {"upload error": 5})
    for each in store, other:
        assert totals_of(each) == {"upload error": 5}
    assert look(store, "dead0") == RUNNING._replace(state=State.ERROR, status=0)
    assert look(store, "lives") == RUNNING
    assert 0 < int(redis_server.command("PTTL", "mod_progress:v3:dead0")) < 20_000
    other.close()
    lives.close()


def test_without_permission_for_the_totals_the_entries_are_listed(
    store: RedisStore, redis_server: RedisServer
) -> None:
    rights = ["~mod_progress:v3:*", "+@all", "-info"]
    redis_server.command("ACL", "SETUSER", "narrow", "on", ">geheim", *rights)
    narrow = RedisStore(redis_server.url.replace("://", "://narrow:geheim@"), lease=0.05)
    store.publish([Update("a", 1, RUNNING, 20.0, first=True)])
    eventually(lambda: page(narrow, Query()).states == {State.ERROR: 1})  # it has lapsed
    found = page(narrow, Query(limit=1))
    assert (found.total, found.totals) == (1, None)
    redis_server.command("ACL", "DELUSER", "narrow")
    narrow.close()
