"""What every store promises, over each of them, against the real things."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mod_progress.details import Details, encode
from mod_progress.stores.contract import PublishResult, Store, Update
from mod_progress.stores.listing import Cursor, Query, Sort
from mod_progress.stores.lmdb.store import LocalStore
from mod_progress.stores.memory import MemoryStore
from mod_progress.stores.redis.store import RedisStore
from mod_progress.transfer import UNKNOWN, Snapshot, State
from tests.stores.store_servers import RedisServer, eventually, listed, look, look_many, page

RUNNING = Snapshot(State.RUNNING, 50, 7, 100, 7, 200)
DONE = Snapshot(State.DONE, 100, 20, 100, 20, 200)
FAILED = Snapshot(State.ERROR, 100, 20, 100, 20, 500)

Open = Callable[..., Store]


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


def update(
    identifier: str = "a",
    snapshot: Snapshot = RUNNING,
    start: int = 10_000_000,
    ttl: float = 30,
    first: bool = True,
) -> Update:
    return Update(identifier, start, snapshot, ttl, first)


def test_what_nobody_published_is_unknown(open_store: Open) -> None:
    assert look(open_store(), "a") == UNKNOWN


@pytest.mark.parametrize(
    "snapshot",
    [
        RUNNING,
        DONE,
        FAILED,
        Snapshot(State.RUNNING, request_size=None),
        Snapshot(State.RUNNING, 2**63 - 1, 2**64 - 1, 2**63 - 1, 2**64 - 1, 999),
    ],
)
def test_another_process_reads_what_was_published(open_store: Open, snapshot: Snapshot) -> None:
    open_store().publish([update(snapshot=snapshot)])
    assert look(open_store(), "a") == snapshot


def test_numbers_beyond_all_bounds_do_no_harm(open_store: Open) -> None:
    """A client may claim any Content-Length, an app any status, and a configuration any ttl."""
    store = open_store()
    huge = Snapshot(State.RUNNING, 2**64, 0, 2**63, 2**70, 10**6)
    store.publish([update("a", huge), update("b"), update("c", DONE, ttl=1e300)])
    found = look_many(open_store(), "abc")
    assert found[0].state is State.RUNNING
    assert found[0].request_size in (2**63 - 1, 2**63)
    assert found[1:] == [RUNNING, DONE]


def test_every_id_that_is_valid_is_a_key(open_store: Open) -> None:
    identifiers = ["!" * 128, "~", "*", "a:b", "%00", "\\", '"']
    open_store().publish([update(identifier) for identifier in identifiers])
    store = open_store()
    assert [look(store, identifier) for identifier in identifiers] == [RUNNING] * len(identifiers)


def test_a_batch_may_be_large(open_store: Open) -> None:
    store = open_store()
    identifiers = [f"id{number}" for number in range(5000)]
    assert store.publish([update(identifier) for identifier in identifiers]).displaced == []
    found = [store.lookup(identifier) for identifier in identifiers]
    assert {each.result(timeout=10) if isinstance(each, Future) else each for each in found} == {
        RUNNING
    }


def test_many_are_looked_up_at_once_in_their_order(open_store: Open) -> None:
    open_store().publish([update("a"), update("b", DONE), update("c", FAILED)])
    store = open_store()
    assert look_many(store, ["c", "nobody", "a", "b", "a"]) == [
        FAILED,
        UNKNOWN,
        RUNNING,
        DONE,
        RUNNING,
    ]
    assert look_many(store, ["b"]) == [DONE]
    assert look_many(store, []) == []


def test_one_lookup_may_name_thousands(open_store: Open) -> None:
    store = open_store()
    identifiers = [f"id{number}" for number in range(5000)]
    store.publish([update(each) for each in identifiers[::2]])
    assert look_many(store, identifiers) == [RUNNING, UNKNOWN] * 2500


def test_a_lapsed_lease_reads_as_an_error_among_many_too(open_store: Open) -> None:
    store = open_store(lease=0.2)
    store.publish([update("a"), update("b", DONE)])
    lapsed = RUNNING._replace(state=State.ERROR, status=0)
    eventually(lambda: look_many(store, "ab") == [lapsed, DONE])


def test_an_update_replaces_what_was_there(open_store: Open) -> None:
    store = open_store()
    later = RUNNING._replace(received=60)
    store.publish([update()])
    store.publish([update(snapshot=later, first=False)])
    assert look(open_store(), "a") == later
    store.publish([update(snapshot=DONE, first=False)])
    assert look(open_store(), "a") == DONE


def test_the_later_start_wins_and_the_loser_is_told(open_store: Open) -> None:
    loser, winner = open_store(), open_store()
    assert loser.publish([update(), update("other")]).displaced == []
    assert winner.publish([update(snapshot=FAILED, start=5_000_000_000)]).displaced == []
    assert loser.publish([update(first=False), update("other", first=False)]).displaced == ["a"]
    assert look(loser, "a") == FAILED


def test_a_late_end_of_the_loser_changes_nothing(open_store: Open) -> None:
    loser, winner = open_store(), open_store()
    loser.publish([update()])
    winner.publish([update(start=5_000_000_000)])
    assert loser.publish([update(snapshot=DONE, first=False)]).displaced == ["a"]
    assert loser.publish([update(snapshot=DONE, ttl=0, first=False)]).displaced == ["a"]
    assert look(winner, "a") == RUNNING


def test_a_late_first_word_of_the_loser_changes_nothing(open_store: Open) -> None:
    """Its process could not reach the store, say, when it started."""
    loser, winner = open_store(), open_store()
    winner.publish([update(start=5_000_000_000)])
    assert loser.publish([update(snapshot=DONE, start=10_000_000)]).displaced == ["a"]
    assert look(winner, "a") == RUNNING


def test_a_later_transfer_of_the_same_process_wins_too(open_store: Open) -> None:
    store = open_store()
    store.publish([update()])
    assert store.publish([update(start=5_000_000_000, snapshot=DONE)]).displaced == []
    assert store.publish([update(first=False)]).displaced == ["a"]
    assert look(store, "a") == DONE


def test_to_publish_the_same_twice_is_harmless(open_store: Open) -> None:
    """A publisher does so where it does not know whether the first time took."""
    store = open_store()
    for _ in range(2):
        assert store.publish([update()]).displaced == []
    assert look(store, "a") == RUNNING


def test_an_entry_that_the_store_lost_is_written_anew(open_store: Open) -> None:
    store = open_store()
    assert store.publish([update(first=False)]) == PublishResult(
        emptied=not isinstance(store, MemoryStore)
    )
    assert look(store, "a") == RUNNING


def test_a_finished_entry_is_unknown_after_its_ttl(open_store: Open) -> None:
    store = open_store()
    store.publish([update(snapshot=DONE, ttl=0.3), update("kept", DONE)])
    eventually(lambda: look(store, "a") == UNKNOWN)
    assert look(store, "kept") == DONE


def test_no_ttl_drops_the_entry(open_store: Open) -> None:
    store = open_store()
    store.publish([update()])
    store.publish([update(snapshot=DONE, ttl=0, first=False)])
    assert look(store, "a") == UNKNOWN
    store.publish([update("b", DONE, ttl=0)])
    assert look(store, "b") == UNKNOWN


def test_a_lapsed_lease_reads_as_an_error_then_as_unknown(open_store: Open) -> None:
    store = open_store(lease=0.3)
    store.publish([update(ttl=0.6)])
    assert look(store, "a") == RUNNING
    seen = [RUNNING]

    def gone() -> bool:
        found = look(store, "a")
        if found != seen[-1]:
            seen.append(found)
        return found == UNKNOWN

    eventually(gone)
    assert seen == [RUNNING, RUNNING._replace(state=State.ERROR, status=0), UNKNOWN]


def test_a_renewed_lease_does_not_lapse(open_store: Open) -> None:
    """An owner that was held up for longer than its lease is believed again."""
    store = open_store(lease=0.2)
    store.publish([update()])
    eventually(lambda: look(store, "a").state is State.ERROR)
    store.publish([update(first=False)])
    assert look(store, "a") == RUNNING


def test_a_transfer_takes_over_what_its_dead_owner_left(open_store: Open) -> None:
    dead, living = open_store(lease=0.2), open_store(lease=0.2)
    dead.publish([update(start=10_000_000)])
    eventually(lambda: look(living, "a").state is State.ERROR)
    living.publish([update(snapshot=DONE, start=5_000_000_000)])
    assert look(living, "a") == DONE


NOW = time.time()


def entry(identifier: str, snapshot: Snapshot = RUNNING, ago: float = 0.0, **texts: str) -> Update:
    """An update of a transfer that started so many seconds ago."""
    path, peer = texts.get("path", "/"), texts.get("peer", "192.0.2.1")
    record = encode(Details("POST", path, peer, NOW - ago), identifier)
    return update(identifier, snapshot)._replace(details=record)


#: Five entries, by their age.
ENTRIES = [
    entry("aged", ago=500_000, path="/upload/a", peer="192.0.2.2"),
    entry(
        "large", RUNNING._replace(request_size=10**9, received=10**8), ago=40_000, path="/upload/b"
    ),
    entry("done", DONE, ago=30_000, path="/up"),
    entry("failed", FAILED, ago=20_000, path="/other"),
    entry("new", ago=10_000, path="/upload/new", peer="192.0.2.2"),
]


@pytest.mark.parametrize(
    ("query", "found", "total"),
    [
        (Query(), "new failed done large aged", 5),
        (Query(reverse=True), "aged large done failed new", 5),
        (Query(state=State.RUNNING), "new large aged", 3),
        (Query(state=State.ERROR), "failed", 1),
        (Query(path="/upload/"), "new large aged", 3),
        (Query(path="/nowhere"), "", 0),
        (Query(peer="192.0.2.2"), "new aged", 2),
        (Query(peer="192.0.2.2", path="/upload/a"), "aged", 1),
        (Query(age=25_000), "done large aged", 3),
        (Query(sort=Sort.SIZE, limit=1), "large", 5),
        (Query(sort=Sort.RATE, limit=2), "large new", 5),
        (Query(sort=Sort.STATE), "new large aged failed done", 5),
        (Query(sort=Sort.STATE, reverse=True), "done failed aged large new", 5),
        (Query(limit=2), "new failed", 5),
    ],
)
def test_the_listing_filters_sorts_and_counts(
    open_store: Open, query: Query, found: str, total: int
) -> None:
    open_store().publish(ENTRIES)
    answer = page(open_store(), query)
    assert [each.identifier for each in answer.entries] == found.split()
    assert answer.total == total
    assert (answer.after is None) == (len(found.split()) == total)


def test_the_listing_counts_each_state_beside_the_one_that_is_asked_for(open_store: Open) -> None:
    open_store().publish(ENTRIES)
    answer = page(open_store(), Query(state=State.DONE, age=15_000))
    assert answer.states == {State.RUNNING: 2, State.DONE: 1, State.ERROR: 1}


def test_the_listing_has_details_and_a_rate_while_a_transfer_runs(open_store: Open) -> None:
    open_store().publish(ENTRIES)
    running, _, done, *_ = reversed(page(open_store(), Query()).entries)
    details = running.details
    assert details[:3] == ("POST", "/upload/a", "192.0.2.2")
    assert details.started == pytest.approx(NOW - 500_000)
    assert running.rate == pytest.approx(57 / 500_000, rel=0.9)
    assert (done.snapshot, done.rate) == (DONE, None)


def test_the_details_stay_with_each_update(open_store: Open) -> None:
    store = open_store()
    first = entry("a", path="/first")
    store.publish([first])
    store.publish([first._replace(snapshot=DONE, first=False)])
    (found,) = page(open_store(), Query()).entries
    assert (found.snapshot, found.details.path) == (DONE, "/first")


def walk(store: Store, limit: int, sort: Sort = Sort.STARTED) -> list[str]:
    """Return the ids of all pages, one after the other."""
    found: list[str] = []
    query = Query(limit=limit, sort=sort)
    while True:
        answer = page(store, query)
        found += [each.identifier for each in answer.entries]
        if answer.after is None:
            return found
        assert len(answer.entries) == limit
        query = query._replace(after=Cursor.parse(str(answer.after)))


@pytest.mark.parametrize("sort", [Sort.STARTED, Sort.STATE, Sort.SIZE])
def test_pages_have_each_entry_once_also_of_those_that_start_together(
    open_store: Open, sort: Sort
) -> None:
    names = [f"id{number}" for number in range(700)]
    states = [RUNNING, DONE, FAILED]
    open_store().publish(
        [entry(name, states[at % 3], ago=at // 50) for at, name in enumerate(names)]
    )
    store = open_store()
    found = walk(store, 64, sort)
    assert sorted(found) == sorted(names)
    assert found == walk(store, 700, sort)


def test_a_page_goes_on_where_the_last_one_ended_while_entries_come_and_go(
    open_store: Open,
) -> None:
    store = open_store()
    store.publish([entry(f"id{ago}", ago=ago) for ago in range(10, 20)])
    first = page(open_store(), Query(limit=4))
    assert [each.identifier for each in first.entries] == ["id10", "id11", "id12", "id13"]
    gone = [entry(f"id{ago}", DONE, ago=ago)._replace(ttl=0, first=False) for ago in (11, 13, 15)]
    store.publish([*gone, *(entry(f"new{ago}", ago=ago) for ago in range(5))])
    second = page(open_store(), Query(limit=4, after=first.after))
    assert [each.identifier for each in second.entries] == ["id14", "id16", "id17", "id18"]
    assert second.total == 12


def test_what_lapsed_is_listed_as_failed_and_what_is_over_is_not(open_store: Open) -> None:
    store = open_store(lease=0.2)
    store.publish([entry("lapses"), entry("over", DONE)._replace(ttl=0.3)])
    lapsed = RUNNING._replace(state=State.ERROR, status=0)
    eventually(lambda: listed(store) == {"lapses": lapsed})


def test_the_next_use_after_a_close_opens_it_anew(open_store: Open) -> None:
    store = open_store()
    store.publish([update()])
    assert look(store, "a") == RUNNING
    store.close()
    assert look(store, "a") == RUNNING


_snapshots = st.builds(
    Snapshot,
    st.sampled_from([State.RUNNING, State.DONE, State.ERROR]),
    *[st.integers(0, 2**63)] * 2,
    st.none() | st.integers(0, 2**62),
    st.integers(0, 2**63),
    st.integers(0, 999),
)


@settings(
    max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    st.lists(
        st.tuples(st.sampled_from("ab"), st.integers(1, 5), st.booleans(), _snapshots), max_size=12
    )
)
def test_stores_agree_with_a_dictionary(
    open_store: Open, words: list[tuple[str, int, bool, Snapshot]]
) -> None:
    """Two processes say things in any order: the later start has the last word."""
    stores = open_store(), open_store()
    for identifier in "ab":  # a start after all others, with no ttl, leaves nothing behind
        stores[0].publish([update(identifier, DONE, start=9_000_000_000, ttl=0)])
    model: dict[str, tuple[int, Snapshot]] = {}
    for identifier, second, other, snapshot in words:
        # Apart by more than a word takes, and of one process each.
        start = second * 1_000_000_000
        held = model.get(identifier)
        displaced = held is not None and held[0] > start
        word = update(identifier, snapshot, start)
        assert stores[second % 2].publish([word]).displaced == [identifier] * displaced
        if not displaced:
            model[identifier] = start, snapshot
        expected = model[identifier][1]
        assert look(stores[other], identifier) == expected
