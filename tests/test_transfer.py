import time
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mod_progress.transfer import TRANSITIONS, Event, Snapshot, State, Transfer
from tests.snapshots import timeless


def ended(status: int | None, *, cut: bool = False) -> Snapshot:
    transfer = Transfer("id", 10)
    if status is not None:
        transfer.response_started(status, 0)
    if cut:
        transfer.cut()
    else:
        transfer.delivered()
    return transfer.snapshot()


@pytest.mark.parametrize(
    ("status", "cut", "state", "shown"),
    [
        (200, False, State.DONE, 200),
        (204, False, State.DONE, 204),
        (303, False, State.DONE, 303),
        (399, False, State.DONE, 399),
        (400, False, State.ERROR, 400),
        (404, False, State.ERROR, 404),
        (500, False, State.ERROR, 500),
        (599, False, State.ERROR, 599),
        (200, True, State.ERROR, 200),
        (500, True, State.ERROR, 500),
        (None, True, State.ERROR, 0),
    ],
)
def test_how_a_transfer_ends(status: int | None, cut: bool, state: State, shown: int) -> None:
    snapshot = ended(status, cut=cut)
    assert (snapshot.state, snapshot.status) == (state, shown)


def test_an_answer_to_a_client_that_left_changes_nothing() -> None:
    transfer = Transfer("id", 10)
    transfer.cut()
    transfer.response_started(200, 5)
    assert transfer.snapshot().status == 0


def test_only_a_running_transfer_can_change() -> None:
    assert {state for state, _ in TRANSITIONS} == {State.RUNNING}
    assert {event for _, event in TRANSITIONS} == set(Event)


def test_an_end_is_final_and_told_once() -> None:
    told: list[Transfer] = []
    transfer = Transfer("id", 0, told.append)
    transfer.response_started(200, 0)
    transfer.delivered()
    transfer.cut()
    transfer.delivered()
    assert transfer.snapshot().state is State.DONE
    assert told == [transfer]


def test_a_running_transfer_shows_its_counters() -> None:
    transfer = Transfer("id", 200)
    transfer.received = 100
    assert timeless(transfer.snapshot()) == Snapshot(State.RUNNING, 100, 0, 200, 0, 0)
    transfer.response_started(200, 50)
    transfer.written = 20
    assert timeless(transfer.snapshot()) == Snapshot(State.RUNNING, 100, 20, 200, 50, 200)


def test_a_transfer_knows_when_it_started_and_ended() -> None:
    moments = [time.time_ns()]
    transfer = Transfer("id", 10)
    started, ended = transfer.snapshot()[-2:]
    assert ended == 0
    moments += [started, time.time_ns()]
    transfer.cut()
    assert transfer.snapshot().started == started
    moments += [transfer.snapshot().ended, time.time_ns()]
    assert moments == sorted(moments)


def test_a_chunked_request_has_no_size_until_its_end() -> None:
    transfer = Transfer("id", None)
    transfer.received = 7
    assert transfer.snapshot().request_size is None
    transfer.request_ended()
    assert transfer.snapshot().request_size == 7


def test_the_end_of_a_request_does_not_change_a_size_that_was_announced() -> None:
    transfer = Transfer("id", 10)
    transfer.received = 7
    transfer.request_ended()
    assert transfer.snapshot().request_size == 10


def test_a_response_without_a_length_grows() -> None:
    transfer = Transfer("id", 0)
    transfer.response_started(200, None)
    for written in (0, 10, 30):
        transfer.written = written
        assert transfer.snapshot().response_size == written


def test_sent_is_what_the_client_has() -> None:
    queued = [100]
    transfer = Transfer("id", 0)
    transfer.unacknowledged = lambda: queued[0]
    transfer.response_started(200, 1000)
    assert transfer.snapshot().sent == 0  # the queue holds the head, of which nothing counts
    transfer.written = 500
    assert transfer.snapshot().sent == 400
    transfer.written, queued[0] = 1000, 700  # the queue grew before the counter was seen
    assert transfer.snapshot().sent == 400
    queued[0] = 0
    assert transfer.snapshot().sent == 1000


@given(st.lists(st.tuples(st.integers(0, 10**6), st.integers(0, 10**6))))
def test_sent_never_steps_back_nor_passes_what_was_written(
    steps: list[tuple[int, int]],
) -> None:
    queued = 0
    transfer = Transfer("id", 0)
    transfer.unacknowledged = lambda: queued
    seen = [0]
    for written, queued in steps:  # noqa: B007 the closure above reads it
        transfer.written += written
        seen.append(transfer.snapshot().sent)
        assert seen[-1] <= transfer.written
    assert seen == sorted(seen)


def test_what_was_delivered_reads_whole() -> None:
    transfer = Transfer("id", 0)
    transfer.unacknowledged = lambda: 5
    transfer.response_started(200, 10)
    transfer.written = 10
    transfer.delivered()
    snapshot = transfer.snapshot()
    assert (snapshot.sent, snapshot.response_size) == (10, 10)


def test_a_picture_of_what_ends_meanwhile_is_whole() -> None:
    transfer = Transfer("id", 5)

    def end_meanwhile() -> int:
        """Let another thread deliver the last byte while the queue is looked at."""
        transfer.received, transfer.written = 5, 10
        transfer.response_started(200, 10)
        transfer.delivered()
        return 10

    transfer.unacknowledged = end_meanwhile
    assert timeless(transfer.snapshot()) == Snapshot(State.DONE, 5, 10, 5, 10, 200)


@given(
    st.lists(
        st.sampled_from(
            [
                lambda transfer: setattr(transfer, "received", transfer.received + 1),
                lambda transfer: setattr(transfer, "written", transfer.written + 1),
                Transfer.request_ended,
                lambda transfer: transfer.response_started(200, 5),
                lambda transfer: transfer.response_started(200, None),
                Transfer.delivered,
                Transfer.cut,
            ]
        )
    ),
    st.sampled_from([None, 3]),
)
def test_what_is_unchanged_looks_the_same(
    steps: list[Callable[[Transfer], None]], size: int | None
) -> None:
    transfer = Transfer("id", size)
    before = transfer.snapshot()
    assert transfer.unchanged(before)
    for step in steps:
        step(transfer)
        if transfer.unchanged(before):
            assert transfer.snapshot() == before
        before = transfer.snapshot()


def test_what_happens_after_the_end_is_no_part_of_it() -> None:
    transfer = Transfer("id", 10)
    transfer.received = 4
    transfer.response_started(200, 2)
    transfer.written = 2
    transfer.delivered()
    end = transfer.snapshot()
    transfer.received, transfer.written = 10, 9
    transfer.request_ended()
    assert transfer.snapshot() == end


def test_without_a_sample_sent_is_what_was_known_last() -> None:
    queued = [600]
    transfer = Transfer("id", 0)
    transfer.unacknowledged = lambda: queued[0]
    transfer.response_started(200, 1000)
    transfer.written = 1000
    assert transfer.snapshot(sample=False).sent == 0
    assert transfer.snapshot().sent == 400
    queued[0] = 0
    assert transfer.snapshot(sample=False).sent == 400
    assert transfer.snapshot().sent == 1000


def test_a_snapshot_is_taken_whatever_the_system_says(caplog: pytest.LogCaptureFixture) -> None:
    class UnknownError(Exception):
        """One of its own, as the log has one of each."""

    def fail() -> int:
        raise UnknownError

    transfer = Transfer("a", 0)
    transfer.response_started(200, 100)
    transfer.written = 50
    transfer.unacknowledged = fail
    for _ in range(3):
        assert transfer.snapshot().sent == 50
    (message,) = caplog.messages
    assert message.startswith("how much the client of a transfer has is not known")


class Server:
    """What serves the request of a transfer."""

    def __init__(self, fails: bool) -> None:
        self.fails = fails
        self.cancelled: list[Transfer] = []

    def cancel(self, transfer: Transfer) -> None:
        assert transfer.state is State.ERROR
        self.cancelled.append(transfer)
        if self.fails:
            raise ValueError("nobody expected this")


@pytest.mark.parametrize("status", [0, 200, 404])
@pytest.mark.parametrize("fails", [False, True])
def test_a_cancelled_transfer_is_an_error_without_a_status(status: int, fails: bool) -> None:
    ends: list[Transfer] = []
    transfer, server = Transfer("id", 10, ends.append), Server(fails)
    transfer.served_by(server)
    transfer.received = 4
    if status:
        transfer.response_started(status, 0)
    for _ in range(2):
        transfer.cancel()
    transfer.delivered()
    transfer.response_started(200, 5)
    assert timeless(transfer.snapshot()) == Snapshot(State.ERROR, 4, 0, 10, 0, 0)
    assert server.cancelled == ends == [transfer]
    assert transfer.canceller is None


def test_a_request_is_stopped_whose_transfer_was_cancelled_before_it_is_served() -> None:
    transfer, server = Transfer("id", 10), Server(fails=False)
    transfer.cancel()
    transfer.served_by(server)
    assert server.cancelled == [transfer]
    assert transfer.canceller is None


def test_one_that_has_ended_is_not_cancelled() -> None:
    transfer, server = Transfer("id", 10), Server(fails=False)
    transfer.served_by(server)
    transfer.response_started(201, 0)
    transfer.delivered()
    transfer.cancel()
    assert (transfer.state, transfer.status, server.cancelled) == (State.DONE, 201, [])
    Transfer("nobody serves it", 0).cancel()
