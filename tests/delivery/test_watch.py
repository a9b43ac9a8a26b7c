import os
import sys
import threading
import time
from contextlib import closing
from typing import Any

import pytest

from mod_progress.delivery import deliveries, sock_diag, watch
from mod_progress.delivery.addresses import Address
from mod_progress.delivery.sock_diag import Progress
from mod_progress.delivery.watch import Watch
from mod_progress.table import LookupTable
from mod_progress.transfer import State
from tests.connections import DEADLINE, Connection, wait_until
from tests.delivery.following import fill, follow, gone, send


@pytest.mark.parametrize(
    ("own", "client"),
    [
        (None, None),
        (("127.0.0.1", 80), None),
        (("/run/app.socket", None), ("", 0)),
        (("127.0.0.1", 80), ("203.0.113.7", 0)),
        (("127.0.0.1", "80"), ("203.0.113.7", "")),
        (("testserver", 80), ("testclient", 50000)),
        (("127.0.0.1",), ("203.0.113.7",)),
        (("127.0.0.1", 80), (["203.0.113.7"], 50000)),
        (("127.0.0.1", 80), ("203.0.113.7\0", 50000)),
        (("127.0.0.1", 80), ("203.0.113.7", "\xb2")),
        (("127.0.0.1", 80), ("203.0.113.7", 1 << 70)),
        (("127.0.0.1", float("inf")), ("203.0.113.7", 50000)),
        (("127.0.0.1", 80), 5),
        (("0.0.0.0", 80), ("client.invalid", 50000)),
    ],
)
def test_where_nothing_is_found_the_count_stands(
    table: LookupTable, own: Address, client: Address
) -> None:
    transfer, delivery = follow(table, own, client)
    transfer.written = 1000
    assert table.lookup("id").sent == 1000
    delivery.handed_over()
    assert transfer.state is State.DONE


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "", "example.invalid"])
def test_a_server_that_reports_where_it_listens_is_understood(
    connection: Connection, table: LookupTable, host: str
) -> None:
    transfer, delivery = follow(table, (host, connection.own[1]), connection.peer)
    written = fill(connection, transfer)
    delivery.handed_over()
    assert transfer.state is State.RUNNING
    connection.drain(written)
    wait_until(lambda: transfer.state is State.DONE)


def test_ports_are_reported_as_text_too(connection: Connection, table: LookupTable) -> None:
    own, client = ((host, str(port)) for host, port in (connection.own, connection.peer))
    transfer, delivery = follow(table, own, client)
    fill(connection, transfer)
    delivery.handed_over()
    assert table.lookup("id").state is State.RUNNING


def test_a_child_follows_its_own_transfers(connection: Connection, table: LookupTable) -> None:
    transfer, delivery = follow(table, connection.own, connection.peer)
    child = os.fork()
    if child == 0:
        table.after_fork()
        transfer, delivery = follow(table, connection.own, connection.peer)
        delivery.handed_over()
        wait_until(lambda: transfer.state is State.DONE)
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0
    assert transfer.state is State.RUNNING
    delivery.handed_over()
    wait_until(lambda: transfer.state is State.DONE)


@pytest.fixture
def own_watch(monkeypatch: pytest.MonkeyPatch) -> Watch:
    """A watch of the test's own, with a thread of its own."""
    own = Watch()
    monkeypatch.setattr(watch, "_watch", own)
    return own


class Unexpected(Exception):
    """An exception that no author listed."""


def raise_unexpected(*_: object) -> Any:
    raise Unexpected


def check_that_it_goes_on(
    own_watch: Watch, table: LookupTable, caplog: pytest.LogCaptureFixture
) -> None:
    """Another transfer ends as it should, by the same thread, and the log has one line."""
    thread = own_watch._thread
    with closing(Connection()) as connection:
        transfer, delivery = follow(table, connection.own, connection.peer, "another")
        written = fill(connection, transfer)
        delivery.handed_over()
        connection.drain(written)
        wait_until(lambda: transfer.state is State.DONE)
    assert own_watch._thread is thread is not None
    assert [record.levelname for record in caplog.records] == ["ERROR"]
    assert "Unexpected" in caplog.text


def test_a_connection_whose_look_fails_is_dropped(
    connection: Connection,
    table: LookupTable,
    own_watch: Watch,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    transfer, delivery = follow(table, connection.own, connection.peer)
    (followed,) = own_watch._connections.values()
    fill(connection, transfer)
    monkeypatch.setattr(followed, "_connection", FailingConnection(followed.key))
    wait_until(lambda: table.lookup("id").sent == transfer.written)
    check_that_it_goes_on(own_watch, table, caplog)
    delivery.handed_over()
    assert transfer.state is State.DONE


class FailingConnection:
    """A connection that the system cannot tell of, for a reason that nobody thought of."""

    def __init__(self, key: bytes) -> None:
        self.key = key

    def progress(self) -> Progress | None:
        raise Unexpected


def test_a_response_that_the_server_has_is_done_when_its_connection_is_dropped(
    connection: Connection, table: LookupTable, own_watch: Watch, monkeypatch: pytest.MonkeyPatch
) -> None:
    transfer, delivery = follow(table, connection.own, connection.peer)
    (followed,) = own_watch._connections.values()
    fill(connection, transfer)
    delivery.handed_over()
    monkeypatch.setattr(followed, "_connection", FailingConnection(followed.key))
    wait_until(lambda: transfer.state is State.DONE)


def test_a_transfer_whose_end_fails_is_dropped(
    connection: Connection,
    table: LookupTable,
    own_watch: Watch,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    transfer, _ = follow(table, connection.own, connection.peer)
    sibling, sibling_delivery = follow(table, connection.own, connection.peer, "sibling")
    monkeypatch.setattr(transfer, "_settled", raise_unexpected)
    fill(connection, transfer)
    sibling_delivery.passes_end()
    connection.reset()
    wait_until(lambda: transfer.state is State.ERROR)
    wait_until(lambda: sibling.state is State.DONE)
    check_that_it_goes_on(own_watch, table, caplog)


def test_deaths_that_fail_are_listened_to_again(
    connection: Connection,
    table: LookupTable,
    own_watch: Watch,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    transfer, _ = follow(table, connection.own, connection.peer)
    failing = own_watch._deaths
    assert failing is not None
    monkeypatch.setattr(failing, "read", raise_unexpected)
    wait_until(lambda: own_watch._deaths not in (None, failing))
    check_that_it_goes_on(own_watch, table, caplog)
    connection.reset()
    connection.server.close()
    wait_until(lambda: transfer.state is State.ERROR)


def test_a_round_that_fails_is_not_the_last(
    connection: Connection,
    table: LookupTable,
    own_watch: Watch,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    follow(table, connection.own, connection.peer)
    with monkeypatch.context() as patch:
        patch.setattr(own_watch, "_read_deaths", raise_unexpected)
        wait_until(lambda: caplog.records)
    check_that_it_goes_on(own_watch, table, caplog)


def test_a_round_that_had_to_wait_for_the_processor_is_soon_followed_by_another(
    connection: Connection, table: LookupTable, own_watch: Watch, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The pause follows the time that a round used, not the time that it took."""
    took = threading.Event()
    read_deaths = own_watch._read_deaths

    def take_long_once(now: float) -> None:
        if not took.is_set():
            time.sleep(DEADLINE / 10)
            took.set()
        read_deaths(now)

    monkeypatch.setattr(own_watch, "_read_deaths", take_long_once)
    transfer, delivery = follow(table, connection.own, connection.peer)
    written = fill(connection, transfer)
    delivery.handed_over()
    assert took.wait(DEADLINE)
    connection.drain(written)
    wait_until(lambda: transfer.state is State.DONE)


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_thread_that_is_ended_is_replaced(
    connection: Connection, table: LookupTable, own_watch: Watch, monkeypatch: pytest.MonkeyPatch
) -> None:
    transfer, _ = follow(table, connection.own, connection.peer)
    with monkeypatch.context() as patch:
        patch.setattr(own_watch, "_read_deaths", lambda now: sys.exit())
        wait_until(lambda: own_watch._thread is None)
    with closing(Connection()) as another:
        follow(table, another.own, another.peer, "another")
        connection.reset()
        wait_until(lambda: transfer.state is State.ERROR)


def test_a_system_that_cannot_be_asked_ends_nothing(
    connection: Connection, table: LookupTable, own_watch: Watch
) -> None:
    transfer, delivery = follow(table, connection.own, connection.peer)
    written = fill(connection, transfer)
    sent = table.lookup("id").sent
    opened = sock_diag._questions._socket
    assert opened is not None
    os.close(opened.fileno())
    assert table.lookup("id").sent == sent
    assert transfer.state is State.RUNNING
    delivery.handed_over()
    connection.drain(written)
    wait_until(lambda: transfer.state is State.DONE)


@pytest.mark.parametrize("can_ask", [True, False])
def test_a_system_that_sends_no_deaths(
    connection: Connection,
    table: LookupTable,
    own_watch: Watch,
    monkeypatch: pytest.MonkeyPatch,
    can_ask: bool,
) -> None:
    if can_ask:
        monkeypatch.setattr(watch, "Deaths", raise_os_error)
    else:
        sock_diag._questions.close()
        monkeypatch.setattr(sock_diag, "_open_socket", raise_os_error)
    transfer, delivery = follow(table, connection.own, connection.peer)
    written = fill(connection, transfer)
    delivery.handed_over()
    if can_ask:
        connection.drain(written)
    wait_until(lambda: transfer.state is State.DONE)


def test_without_deaths_a_response_that_the_server_has_is_taken_as_delivered(
    connection: Connection, table: LookupTable, own_watch: Watch, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watch, "Deaths", raise_os_error)
    transfer, delivery = follow(table, connection.own, connection.peer)
    fill(connection, transfer)
    connection.reset()
    wait_until(lambda: gone(connection))
    delivery.handed_over()
    wait_until(lambda: transfer.state is State.DONE)


def test_a_system_that_can_no_longer_be_asked(
    connection: Connection, table: LookupTable, own_watch: Watch, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A response that the server has is taken as delivered after a while."""
    monkeypatch.setattr(deliveries, "IDLE", 0.1)
    transfer, delivery = follow(table, connection.own, connection.peer)
    fill(connection, transfer)
    sock_diag._questions.close()
    monkeypatch.setattr(sock_diag, "_open_socket", raise_os_error)
    delivery.handed_over()
    wait_until(lambda: transfer.state is State.DONE)


def raise_os_error(*_: object) -> Any:
    raise OSError("there is no such thing here")


def test_a_system_without_another_thread(
    connection: Connection, table: LookupTable, own_watch: Watch, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(threading.Thread, "start", raise_runtime_error)
    transfer, delivery = follow(table, connection.own, connection.peer)
    assert own_watch._deaths is None
    assert not own_watch._connections
    delivery.handed_over()
    assert transfer.state is State.DONE


def raise_runtime_error(_: threading.Thread) -> None:
    raise RuntimeError("can't start new thread")


def test_the_thread_ends_when_there_is_nothing_to_follow(
    connection: Connection, table: LookupTable, own_watch: Watch
) -> None:
    transfer, delivery = follow(table, connection.own, connection.peer)
    send(connection, transfer, b"hello world")
    delivery.handed_over()
    wait_until(lambda: own_watch._thread is None)
    assert own_watch._deaths is None
