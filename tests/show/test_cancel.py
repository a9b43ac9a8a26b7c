from __future__ import annotations

import json
from concurrent.futures import Future

import pytest

from mod_progress.identifier import shared_form
from mod_progress.options import Options
from mod_progress.show.cancel import answer_cancel, answer_cancel_of_row, is_from_owner
from mod_progress.stores.contract import StoreError
from mod_progress.stores.memory import MemoryStore
from mod_progress.tracker import Tracker
from mod_progress.transfer import Snapshot, State, Transfer
from tests.show.asking import at_once, body_of, question
from tests.show.listed_store import ListedStore

OWN = "own~secret"
SEE = shared_form(OWN)


def track(tracker: Tracker, identifier: str) -> Transfer:
    transfer = tracker.track("POST", f"X-Progress-ID={identifier}".encode(), None, 10)
    assert transfer is not None
    return transfer


@pytest.mark.parametrize(
    ("identifier", "permitted", "status", "ends"),
    [
        (OWN, False, 204, True),
        (OWN, True, 204, True),
        (SEE, False, 403, False),
        (SEE, True, 204, True),
        ("see~other", True, 404, False),
        ("own~other", False, 404, False),
        ("", True, 400, False),
        ("a b", True, 400, False),
    ],
)
@pytest.mark.parametrize("place", ["query", "header"])
def test_who_may_cancel(
    identifier: str, permitted: bool, status: int, ends: bool, place: str
) -> None:
    tracker = Tracker()
    transfer = track(tracker, OWN)
    value = identifier.encode()
    if place == "query":
        asked = question(b"X-Progress-ID=" + value.replace(b" ", b"%20"))
    else:
        asked = question(b"", x_progress_id=value)
    assert is_from_owner(asked) is identifier.startswith("own~")
    answer = at_once(answer_cancel(asked, tracker, permitted))
    assert answer.status == status
    assert transfer.state is (State.ERROR if ends else State.RUNNING)
    assert dict(answer.fields)["Cache-Control"] == "no-store"
    if status == 204:
        assert (body_of(answer), dict(answer.fields).get("Content-Type")) == (b"", None)
    else:
        assert list(json.loads(body_of(answer))) == ["error"]


def test_a_plain_id_needs_permission() -> None:
    tracker = Tracker()
    transfer = track(tracker, "plain")
    asked = question(b"X-Progress-ID=plain")
    for permitted, status, state in [(False, 403, State.RUNNING), (True, 204, State.ERROR)]:
        assert at_once(answer_cancel(asked, tracker, permitted)).status == status
        assert transfer.state is state


class Slow(MemoryStore):
    """A store that is far away."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: Future[State] = Future()

    def ask_to_cancel(self, identifier: str) -> Future[State]:  # type: ignore[override]
        return self.asked


@pytest.mark.parametrize(
    ("result", "status", "body"),
    [
        (State.RUNNING, 202, {"state": "running"}),
        (State.ERROR, 204, None),
        (State.UNKNOWN, 404, {"error": "there is no transfer with this id"}),
        (StoreError("away"), 503, {"error": "the store cannot be used: try again in a moment"}),
        (ValueError(), 503, {"error": "the store cannot be used: try again in a moment"}),
    ],
)
def test_a_transfer_of_another_process(
    result: State | Exception, status: int, body: object
) -> None:
    store = Slow()
    answer = answer_cancel(question(), Tracker(Options(), store), True)
    assert isinstance(answer, Future)
    assert not answer.done()
    if isinstance(result, State):
        store.asked.set_result(result)
    else:
        store.asked.set_exception(result)
    assert at_once(answer).status == status
    assert body_of(answer) == (b"" if body is None else json.dumps(body).encode())


class Broken(MemoryStore):
    def ask_to_cancel(self, identifier: str) -> State:
        raise RuntimeError("nobody expected this")


def test_a_store_that_fails_is_answered(caplog: pytest.LogCaptureFixture) -> None:
    tracker = Tracker(Options(), Broken())
    for _ in range(2):
        assert at_once(answer_cancel(question(), tracker, True)).status == 503
    assert len(caplog.records) == 1


class Plain:
    """A store of an app's own that carries no requests to cancel."""

    near = True
    publish = lookup = lookup_many = close = None


def test_a_store_that_carries_no_requests() -> None:
    tracker = Tracker(Options(), Plain())  # type: ignore[arg-type]
    assert at_once(answer_cancel(question(), tracker, True)).status == 404


#: When the transfers of a list began, as a list says it.
STARTED = b"2023-11-14T22:12:20.000Z"


@pytest.fixture
def store() -> ListedStore:
    return ListedStore()


def cancel_row(
    store: ListedStore, query: bytes, permitted: bool = True, **fields: bytes
) -> tuple[int, list[Transfer]]:
    """Cancel a row of a list; return the status, and the transfers that are ended."""
    tracker = Tracker(store=store)
    transfers = [track(tracker, identifier) for identifier in store.rows]
    answer = at_once(answer_cancel_of_row(question(query, **fields), tracker, permitted))
    tracker.close()
    return answer.status, [each for each in transfers if each.state is not State.RUNNING]


@pytest.mark.parametrize(
    ("query", "permitted", "site", "status"),
    [
        (b"id=01234567...&started=%b" % STARTED, True, b"same-origin", 204),
        (b"id=0123456789abcdef&started=%b" % STARTED, True, b"none", 204),
        (b"id=01234567...&started=%b" % STARTED, False, b"same-origin", 403),
        (b"id=01234567...&started=%b" % STARTED, True, b"cross-site", 403),
        (b"id=01234567...&started=%b" % STARTED, True, b"same-site", 403),
        (b"id=01234567...&started=2023-11-14T22:12:20.001Z", True, b"same-origin", 404),
        (b"id=0123456...&started=%b" % STARTED, True, b"same-origin", 404),
        (b"id=&started=%b" % STARTED, True, b"same-origin", 404),
        (b"id=01234567...", True, b"same-origin", 400),
        (b"id=01234567...&started=noon", True, b"same-origin", 400),
        (b"id=01234567...&started=0001-01-01", True, b"same-origin", 400),
        (b"", True, b"same-origin", 400),
    ],
)
def test_who_may_cancel_which_row(
    store: ListedStore, query: bytes, permitted: bool, site: bytes, status: int
) -> None:
    for number in range(3):
        store.put(f"{number}123456789abcdef", Snapshot(State.RUNNING, request_size=10), 60 + number)
    found, ended = cancel_row(store, query, permitted, sec_fetch_site=site)
    assert found == status
    wanted = ["0123456789abcdef"] if status == 204 else []
    assert [each.identifier for each in ended] == wanted


def test_of_two_rows_that_look_the_same_none_is_cancelled(store: ListedStore) -> None:
    for end in "xy":
        store.put(f"0123456789{end}", Snapshot(State.RUNNING), 60)
    assert cancel_row(store, b"id=01234...&started=%b" % STARTED) == (409, [])


def test_a_row_of_a_store_in_trouble_is_not_cancelled(store: ListedStore) -> None:
    store.put("0123456789abcdef", Snapshot(State.RUNNING), 60)
    store.trouble = "it is gone"
    assert cancel_row(store, b"id=01234567...&started=%b" % STARTED) == (503, [])


def test_a_row_of_another_process_is_asked_for(store: ListedStore) -> None:
    store.put("0123456789abcdef", Snapshot(State.RUNNING), 60)
    asked: Future[State] = Future()
    store.ask_to_cancel = lambda identifier: asked  # type: ignore[assignment,method-assign,return-value]
    query = b"id=01234567...&started=%b" % STARTED
    found = answer_cancel_of_row(question(query), Tracker(store=store), permitted=True)
    assert isinstance(found, Future)
    assert not found.done()
    asked.set_result(State.RUNNING)
    assert at_once(found).status == 202
