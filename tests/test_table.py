import itertools
import sys
import threading

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from mod_progress.table import SWEEP, LookupTable
from mod_progress.transfer import State, Transfer
from tests.clock import Clock


@pytest.fixture
def clock() -> Clock:
    return Clock()


def finish(transfer: Transfer | None, status: int = 200) -> None:
    assert transfer is not None
    transfer.response_started(status, 0)
    transfer.delivered()


def test_an_id_is_unknown_then_running_then_done_then_unknown(clock: Clock) -> None:
    table = LookupTable(ttl=30, clock=clock)
    assert table.lookup("a").state is State.UNKNOWN
    transfer = table.register("a", 10)
    assert table.lookup("a").state is State.RUNNING
    finish(transfer)
    clock.now += 29.999
    assert table.lookup("a").state is State.DONE
    clock.now += 0.001
    assert table.lookup("a").state is State.UNKNOWN


def test_with_no_ttl_the_end_is_not_remembered(clock: Clock) -> None:
    table = LookupTable(ttl=0, clock=clock)
    finish(table.register("a", 0))
    assert table.lookup("a").state is State.UNKNOWN
    assert len(table) == 0


def test_a_second_request_takes_the_id_over(clock: Clock) -> None:
    table = LookupTable(ttl=30, clock=clock)
    first, second = table.register("a", 1), table.register("a", 2)
    assert table.lookup("a").request_size == 2
    finish(first, 500)
    assert table.lookup("a").state is State.RUNNING
    finish(second)
    assert table.lookup("a").state is State.DONE
    assert len(table) == 1


def test_a_finished_id_is_used_again(clock: Clock) -> None:
    table = LookupTable(ttl=30, clock=clock)
    finish(table.register("a", 1), 500)
    table.register("a", 2)
    assert table.lookup("a").state is State.RUNNING
    clock.now += 31  # the end of the first must not take the second with it
    assert table.lookup("a").state is State.RUNNING


def test_the_oldest_finished_leave_first_where_it_is_full(clock: Clock) -> None:
    table = LookupTable(ttl=30, capacity=3, clock=clock)
    for name in "abc":
        finish(table.register(name, 0))
    table.register("d", 0)
    assert [table.lookup(name).state for name in "abcd"] == [
        State.UNKNOWN,
        State.DONE,
        State.DONE,
        State.RUNNING,
    ]


def test_full_of_running_transfers_it_takes_no_more(clock: Clock) -> None:
    table = LookupTable(ttl=30, capacity=2, clock=clock)
    running = [table.register(name, 0) for name in "ab"]
    assert table.register("c", 0) is None
    assert table.register("a", 0) is not None  # a takeover needs no room
    finish(running[1])
    assert table.register("c", 0) is not None


def test_what_runs_is_told_from_what_has_ended(clock: Clock) -> None:
    table = LookupTable(ttl=30, clock=clock)
    transfers = [table.register(name, 0) for name in "abc"]
    finish(transfers[1])
    assert [each is not None and table.runs(each) for each in transfers] == [True, False, True]


def test_expired_entries_leave_a_few_at_a_time(clock: Clock) -> None:
    table = LookupTable(ttl=30, clock=clock)
    for number in range(10 * SWEEP):
        finish(table.register(str(number), 0))
    clock.now += 31
    for step in range(1, 11):
        table.register(f"new {step}", 0)
        assert len(table) - step == (10 - step) * SWEEP


def test_threads_share_a_table() -> None:
    table = LookupTable(ttl=30)

    def work(name: str) -> None:
        for number in range(2000):
            finish(table.register(f"{name}{number % 50}", number))

    names = {f"{name}{number}" for name in "abcd" for number in range(50)}
    threads = [threading.Thread(target=work, args=(name,)) for name in "abcd"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert {table.lookup(name).state for name in names} == {State.DONE}
    assert len(table) == len(names) == 200


def test_an_id_is_never_unknown_while_it_goes_from_one_transfer_to_the_next() -> None:
    table = LookupTable(ttl=30)
    finish(table.register("a", 0))
    over = threading.Event()
    seen: set[State] = set()

    def look() -> None:
        while not over.is_set():
            seen.add(table.lookup("a").state)

    looking = threading.Thread(target=look)
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        looking.start()
        for number in itertools.count():
            finish(table.register("a", 0))
            if number >= 5000 and len(seen) > 1:
                break
    finally:
        sys.setswitchinterval(interval)
        over.set()
        looking.join()
    assert seen == {State.RUNNING, State.DONE}


class TableMachine(RuleBasedStateMachine):
    """The table against a model: a dict that scans."""

    TTL, CAPACITY = 10.0, 4

    def __init__(self) -> None:
        super().__init__()
        self.clock = Clock()
        self.table = LookupTable(self.TTL, self.CAPACITY, self.clock)
        self.running: dict[str, Transfer] = {}
        self.finished: dict[str, float] = {}
        self.orphans: list[Transfer] = []

    @rule(name=st.sampled_from("abcdefg"))
    def register(self, name: str) -> None:
        transfer = self.table.register(name, 1)
        self._forget_expired()
        if name in self.running:
            self.orphans.append(self.running[name])
        elif len(self.running) == self.CAPACITY:
            assert transfer is None
            return
        self.finished.pop(name, None)
        assert transfer is not None
        self.running[name] = transfer
        while len(self.running) + len(self.finished) > self.CAPACITY:
            del self.finished[min(self.finished, key=self.finished.__getitem__)]

    @rule(name=st.sampled_from("abcdefg"), delivered=st.booleans())
    def end(self, name: str, delivered: bool) -> None:
        transfer = self.running.pop(name, None)
        if transfer is not None:
            self.clock.now += 0.001  # no two ends at the same time: the model's order is total
            transfer.delivered() if delivered else transfer.cut()
            self.finished[name] = self.clock.now

    @rule()
    def end_an_orphan(self) -> None:
        if self.orphans:
            self.orphans.pop().cut()

    @rule(seconds=st.floats(0, 15))
    def wait(self, seconds: float) -> None:
        self.clock.now += seconds

    def _forget_expired(self) -> None:
        for name, end in list(self.finished.items()):
            if self.clock.now >= end + self.TTL:
                del self.finished[name]

    @invariant()
    def answers_are_right(self) -> None:
        self._forget_expired()
        for name in "abcdefg":
            state = self.table.lookup(name).state
            if name in self.running:
                assert state is State.RUNNING
            elif name in self.finished:
                assert state in (State.DONE, State.ERROR)
            else:
                assert state is State.UNKNOWN

    @invariant()
    def memory_is_bounded(self) -> None:
        assert len(self.table) <= self.CAPACITY


TableMachine.TestCase.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
TestTableMachine = TableMachine.TestCase


def test_one_that_was_released_goes_on_unseen(clock: Clock) -> None:
    table = LookupTable(ttl=30, clock=clock)
    transfer = table.register("a", 0)
    assert transfer is not None
    table.release(Transfer("a", 0))
    assert table.runs(transfer)
    table.release(transfer)
    finish(transfer)
    assert table.lookup("a").state is State.UNKNOWN


def test_what_is_finished_is_told_with_the_time_that_it_has(clock: Clock) -> None:
    table = LookupTable(ttl=30, clock=clock)
    finish(table.register("a", 0))
    clock.now += 10
    finish(table.register("b", 0))
    told = [(each.identifier, each.state, left) for each, left in table.finished()]
    assert told == [("a", State.DONE, 20.0), ("b", State.DONE, 30.0)]
    clock.now += 20
    assert [each.identifier for each, _ in table.finished()] == ["b"]


def test_each_end_of_one_that_is_in_the_table_is_told(clock: Clock) -> None:
    table = LookupTable(ttl=30, clock=clock)
    told: list[Transfer] = []
    table.on_end = told.append
    first, second = table.register("a", 0), table.register("a", 0)
    finish(first)
    finish(second)
    assert told == [second]


def test_a_transfer_ends_though_its_end_is_not_taken(caplog: pytest.LogCaptureFixture) -> None:
    def fail(transfer: Transfer) -> None:
        raise ZeroDivisionError

    table = LookupTable(ttl=30)
    table.on_end = fail
    finish(table.register("a", 0))
    assert table.lookup("a").state is State.DONE
    (message,) = caplog.messages
    assert message.startswith("other processes do not know the end of a transfer")
