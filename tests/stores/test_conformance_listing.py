"""What every store promises of its listing, over each of them, against the real things."""

from __future__ import annotations

import time

import pytest

from mod_progress.details import Details, encode
from mod_progress.stores.contract import Store, Update
from mod_progress.stores.listing import Cursor, Query, Sort
from mod_progress.transfer import Snapshot, State
from tests.snapshots import timeless
from tests.stores.conftest import Open
from tests.stores.store_servers import eventually, listed, page

RUNNING = Snapshot(State.RUNNING, 50, 7, 100, 7, 200)
DONE = Snapshot(State.DONE, 100, 20, 100, 20, 200)
FAILED = Snapshot(State.ERROR, 100, 20, 100, 20, 500)

NOW = time.time()


def entry(identifier: str, snapshot: Snapshot = RUNNING, ago: float = 0.0, **texts: str) -> Update:
    """An update of a transfer that started so many seconds ago."""
    path, peer = texts.get("path", "/"), texts.get("peer", "192.0.2.1")
    record = encode(Details("POST", path, peer), identifier)
    snapshot = snapshot._replace(started=round((NOW - ago) * 1e9))
    return Update(identifier, 10_000_000, snapshot, 30.0, first=True, details=record)


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
    assert answer.uploads == 2


def test_the_listing_has_details_and_a_rate_while_a_transfer_runs(open_store: Open) -> None:
    open_store().publish(ENTRIES)
    running, _, done, *_ = reversed(page(open_store(), Query()).entries)
    assert running.details == ("POST", "/upload/a", "192.0.2.2")
    assert running.snapshot.started / 1e9 == pytest.approx(NOW - 500_000)
    assert running.rate == pytest.approx(57 / 500_000, rel=0.9)
    assert (timeless(done.snapshot), done.rate) == (DONE, None)


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
    lapses = entry("lapses")
    store.publish([lapses, entry("over", DONE)._replace(ttl=0.3)])
    lapsed = lapses.snapshot._replace(state=State.ERROR, status=0)
    eventually(lambda: listed(store) == {"lapses": lapsed})
