"""What every store promises, over each of them, against the real things."""

from __future__ import annotations

from concurrent.futures import Future

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mod_progress.stores.contract import PublishResult, Update
from mod_progress.stores.memory import MemoryStore
from mod_progress.transfer import UNKNOWN, Snapshot, State
from tests.stores.conftest import Open
from tests.stores.store_servers import eventually, look, look_many

RUNNING = Snapshot(State.RUNNING, 50, 7, 100, 7, 200)
DONE = Snapshot(State.DONE, 100, 20, 100, 20, 200)
FAILED = Snapshot(State.ERROR, 100, 20, 100, 20, 500)


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
        Snapshot(State.RUNNING, 2**63 - 1, 2**64 - 1, 2**63 - 1, 2**64 - 1, 999, 2**60, 2**61),
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

    def finds_all() -> bool:
        # All in a second, or what a store that is far away has not said by then is unknown.
        found = [store.lookup(identifier) for identifier in identifiers]
        results = {each.result(timeout=10) if isinstance(each, Future) else each for each in found}
        return results == {RUNNING}

    eventually(finds_all)


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
    *[st.integers(0, 2**63)] * 2,
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
