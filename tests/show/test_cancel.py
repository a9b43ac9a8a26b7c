from __future__ import annotations

import json
from concurrent.futures import Future

import pytest

from mod_progress.identifier import shared_form
from mod_progress.options import Options
from mod_progress.show.cancel import answer_cancel, is_from_owner
from mod_progress.stores.contract import StoreError
from mod_progress.stores.memory import MemoryStore
from mod_progress.tracker import Tracker
from mod_progress.transfer import State, Transfer
from tests.show.asking import at_once, body_of, question

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
