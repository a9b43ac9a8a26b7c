"""The format dump: what a question asks for, and what its answer says."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from concurrent.futures import Future
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mod_progress.details import Details, encode
from mod_progress.options import OptionError
from mod_progress.show.answer import Answer
from mod_progress.show.dump import Permission, answer_dump, parse_query
from mod_progress.stores.contract import Store, Update
from mod_progress.stores.listing import Cursor, Query, Sort
from mod_progress.stores.memory import MemoryStore
from mod_progress.tracker import Tracker
from mod_progress.transfer import Snapshot, State
from tests.show.asking import question

CURSOR = Cursor(-1.5, -1.5, 1)


@pytest.mark.parametrize(
    ("query", "asked"),
    [
        (b"", Query()),
        (b"format=dump", Query()),
        (b"state=running&limit=1", Query(State.RUNNING, limit=1)),
        (b"path=%2Fup%20load/&peer=2001:db8::1", Query(path="/up load/", peer="2001:db8::1")),
        (b"age=60&sort=rate", Query(age=60.0, sort=Sort.RATE)),
        (b"sort=-size", Query(sort=Sort.SIZE, reverse=True)),
        (b"limit=1000&after=" + str(CURSOR).encode(), Query(limit=1000, after=CURSOR)),
        (b"state=&path=&peer=&age=&sort=&limit=&after=", Query()),
    ],
)
def test_what_the_parameters_ask_for(query: bytes, asked: Query) -> None:
    assert parse_query(query) == asked


@pytest.mark.parametrize(
    ("query", "message"),
    [
        (b"state=gone", "state: 'gone' is not one of running, done, error"),
        (b"state=unknown", "state: 'unknown' is not one of running, done, error"),
        (b"limit=0", "limit: '0' is not a number from 1 to 1000"),
        (b"limit=1001", "limit: '1001' is not a number from 1 to 1000"),
        (b"age=-1", "age: '-1' is not a number of seconds"),
        (
            b"sort=name",
            "sort: 'name' is not one of started, rate, size, state, -started, -rate, -size, -state",
        ),
        (b"after=abc", "after: 'abc' is not what the answer before named as the next page"),
    ],
)
def test_a_wrong_parameter_is_refused_by_name(query: bytes, message: str) -> None:
    with pytest.raises(OptionError) as raised:
        parse_query(query)
    assert str(raised.value) == message
    answer = answer_dump(question(query), Tracker(store=MemoryStore()), Permission.CUT_IDS)
    assert isinstance(answer, Answer)
    assert answer.status == 400
    assert json.loads(bytes(answer.body)) == {"error": message}  # type: ignore[arg-type]


names = st.sampled_from([b"state", b"path", b"peer", b"age", b"sort", b"limit", b"after", b"x"])


@given(st.lists(st.tuples(names, st.binary(max_size=30)), max_size=4))
def test_any_query_is_understood_or_refused(parameters: list[tuple[bytes, bytes]]) -> None:
    query = b"&".join(b"%b=%b" % pair for pair in parameters)
    try:
        asked = parse_query(query)
    except OptionError:
        return
    assert 1 <= asked.limit <= 1000


def update(identifier: str, snapshot: Snapshot, ago: float, path: str = "/upload") -> Update:
    details = Details("POST", path, "192.0.2.7")
    snapshot = snapshot._replace(started=round((time.time() - ago) * 1e9))
    return Update(identifier, 1, snapshot, 60.0, first=True, details=encode(details, identifier))


RUNNING = Snapshot(State.RUNNING, 500, 0, 1000, 0, 0)


def dump(
    updates: Sequence[Update],
    query: bytes = b"format=dump",
    permission: Permission = Permission.CUT_IDS,
    **fields: bytes,
) -> Answer:
    store = MemoryStore()
    store.publish(updates)
    return answered(store, query, permission, **fields)


def answered(
    store: Store | None, query: bytes, permission: Permission = Permission.CUT_IDS, **fields: bytes
) -> Answer:
    found = answer_dump(question(query, **fields), Tracker(store=store), permission)
    return found.result(timeout=20) if isinstance(found, Future) else found


def rows(answer: Answer) -> list[dict[str, Any]]:
    assert isinstance(answer.body, bytes)
    found: list[dict[str, Any]] = json.loads(answer.body)
    return found


def test_a_running_upload() -> None:
    (row,) = rows(dump([update("0123456789abcdef", RUNNING, ago=0)]))
    assert row.pop("started")[10:].endswith("Z")
    assert row.pop("rate") > 0
    assert row == {
        "id": "01234567...",
        "method": "POST",
        "path": "/upload",
        "peer": "192.0.2.7",
        "direction": "upload",
        "state": "running",
        "received": 500,
        "sent": 0,
        "request_size": 1000,
        "response_size": 0,
        "status": 0,
    }


@pytest.mark.parametrize(
    ("snapshot", "direction"),
    [
        (RUNNING, "upload"),
        (Snapshot(State.RUNNING, request_size=None), "upload"),
        (Snapshot(State.DONE, 3, 5, 3, 5, 200), "upload"),
        (Snapshot(State.DONE, 0, 5, 0, 5, 200), "download"),
        (Snapshot(State.ERROR, 0, 5, 0, 9, 0), "download"),
    ],
)
def test_the_direction_is_that_of_the_request_body(snapshot: Snapshot, direction: str) -> None:
    (row,) = rows(dump([update("a", snapshot, ago=5)]))
    assert row["direction"] == direction
    assert (row["rate"] is None) == (snapshot.state is not State.RUNNING)


OWNER = "see~" + "0123456789abcdef" * 4


def test_a_short_id_is_not_whole_either() -> None:
    (row,) = rows(dump([update("mine", RUNNING, 1, "/upload/mine")]))
    assert (row["id"], row["path"]) == ("mi...", "/upload/mi...")


@pytest.mark.parametrize("identifier", ["0123456789abcdef", OWNER])
@pytest.mark.parametrize("query", [b"", b"limit=1", b"sort=size&limit=1"])
def test_no_whole_id_is_anywhere_for_who_may_not_see_it(identifier: str, query: bytes) -> None:
    path = f"/files/{identifier}/own~0123456789abcdef"
    updates = [update(identifier, RUNNING, 1, path), update(f"{identifier[:60]}z", RUNNING, 2)]
    answer = dump(updates, query)
    assert "9abcdef" not in repr(answer)
    whole = dump(updates, b"limit=10", Permission.WHOLE_IDS)
    assert [row["id"] for row in rows(whole)] == [each.identifier for each in updates]


def test_what_a_transfer_lacks() -> None:
    """One that a front tracked without its details."""
    (row,) = rows(dump([Update("a", 1, RUNNING, 60.0, first=True)]))
    assert (row["method"], row["path"], row["peer"]) == ("", "", "")
    assert row["started"] == "1970-01-01T00:00:00.000Z"


def test_pages_by_the_links_of_the_answers() -> None:
    store = MemoryStore()
    store.publish([update(f"id{number}", RUNNING, ago=number) for number in range(5)])
    query, found = b"token=a%26b&format=dump&limit=2&x=<y>\xff", []
    for _ in range(3):
        answer = answered(store, query, Permission.WHOLE_IDS)
        fields = dict(answer.fields)
        assert (fields["X-Progress-Total"], fields["Content-Type"]) == ("5", "application/json")
        assert fields["X-Progress-States"] == "running=5, done=0, error=0"
        found += [row["id"] for row in rows(answer)]
        link = fields.get("Link", "")
        if not link:
            break
        assert link.startswith("<?token=a%26b&format=dump&limit=2&x=%3Cy%3E%FF&after=")
        assert link.endswith('>; rel="next"')
        query = link[2:].partition(">")[0].encode()
    assert found == [f"id{number}" for number in range(5)]
    assert not link


def test_who_may_not_learns_nothing() -> None:
    answer = dump([update("a", RUNNING, 1)], permission=Permission.NOTHING)
    assert (answer.status, "X-Progress-Total" in dict(answer.fields)) == (403, False)


def test_an_answer_is_not_stored_and_not_sent_twice() -> None:
    store = MemoryStore()
    store.publish([update("a", Snapshot(State.DONE, 1, 2, 1, 2, 200), 1)])
    first = dict(answered(store, b"").fields)
    assert first["Cache-Control"] == "no-store"
    again = answered(store, b"", if_none_match=first["ETag"].encode())
    assert (again.status, again.body) == (304, b"")
    store.publish([update("b", RUNNING, 1)])
    assert answered(store, b"limit=9", if_none_match=first["ETag"].encode()).status == 200


class BrokenStore(MemoryStore):
    """A store that nobody expected to raise."""

    def page(self, query: Query) -> Any:
        raise RuntimeError


@pytest.mark.parametrize("store", [None, BrokenStore()])
def test_where_nothing_can_be_listed_the_answer_says_so(store: Store | None) -> None:
    answer = answered(store, b"")
    assert answer.status == 503
    assert "cannot be listed" in rows(answer)["error"]  # type: ignore[call-overload]
