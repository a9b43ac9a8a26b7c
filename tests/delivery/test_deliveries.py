import contextlib
import socket
import threading
from collections.abc import Callable
from functools import partial

import pytest

from mod_progress.delivery import sock_diag
from mod_progress.delivery.watch import INTERVAL, follow_transfer
from mod_progress.table import LookupTable
from mod_progress.transfer import State
from tests.connections import Connection, wait_until
from tests.delivery.following import fill, follow, gone, is_done, register, send

SIZE = 1 << 20


def test_sent_is_what_the_client_has(connection: Connection, table: LookupTable) -> None:
    transfer, delivery = follow(table, connection.own, connection.peer)
    written = fill(connection, transfer)
    delivery.handed_over()
    first = table.lookup("id")
    assert first.state is State.RUNNING
    assert first.sent < written
    connection.drain(written // 2)
    half = wait_until(lambda: (now := table.lookup("id")).sent >= written // 2 and now)
    assert half.state is State.RUNNING
    connection.drain(written - written // 2)
    done = wait_until(lambda: (now := table.lookup("id")).state is State.DONE and now)
    assert done.sent == done.response_size == written


def test_the_end_is_noticed_though_nobody_looks(connection: Connection, table: LookupTable) -> None:
    transfer, delivery = follow(table, connection.own, connection.peer)
    written = fill(connection, transfer)
    delivery.handed_over()
    connection.drain(written)
    wait_until(lambda: transfer.state is State.DONE)


def test_a_client_that_vanishes_is_an_error(connection: Connection, table: LookupTable) -> None:
    transfer, delivery = follow(table, connection.own, connection.peer)
    fill(connection, transfer)
    delivery.handed_over()
    assert table.lookup("id").state is State.RUNNING
    connection.reset()
    connection.server.close()
    wait_until(lambda: transfer.state is State.ERROR)
    assert transfer.status == 200


def test_a_client_that_leaves_before_the_response_is_an_error(
    connection: Connection, table: LookupTable
) -> None:
    transfer = register(table, "id")
    delivery = follow_transfer(transfer, connection.own, connection.peer)
    connection.client.close()
    connection.server.close()
    wait_until(lambda: transfer.state is State.ERROR)
    assert transfer.status == 0
    delivery.handed_over()
    assert transfer.state is State.ERROR


def test_a_client_that_leaves_with_all_it_was_sent_has_it(
    connection: Connection, table: LookupTable
) -> None:
    """A server on threads may have closed the connection before the app has returned."""
    transfer, delivery = follow(table, connection.own, connection.peer)
    send(connection, transfer, b"x" * 1000)
    connection.client.close()
    connection.server.close()
    another_one_dies(table)
    assert transfer.state is State.RUNNING
    delivery.handed_over()
    wait_until(lambda: transfer.state is State.DONE)


def test_a_look_from_before_the_end_does_not_tell_how_it_ended(
    connection: Connection, table: LookupTable, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The thread gets no time after its look; meanwhile somebody else finds the connection gone."""
    looked, ended = threading.Event(), threading.Event()
    progress = sock_diag.Connection.progress

    def look(self: sock_diag.Connection) -> sock_diag.Progress | None:
        found = progress(self)
        if threading.current_thread() is not threading.main_thread():
            looked.set()
            ended.wait(10)
        return found

    transfer, delivery = follow(table, connection.own, connection.peer)
    written = fill(connection, transfer)
    delivery.handed_over()
    monkeypatch.setattr(sock_diag.Connection, "progress", look)
    assert looked.wait(10)
    connection.drain(written)
    connection.client.close()
    connection.server.close()
    delivery.unacknowledged()
    ended.set()
    wait_until(lambda: transfer.state is State.DONE)


def another_one_dies(table: LookupTable) -> None:
    """Wait until the deaths until now are known: until a later one is known."""
    with contextlib.closing(Connection()) as connection:
        transfer = register(table, "another")
        follow_transfer(transfer, connection.own, connection.peer)
        connection.client.close()
        connection.server.close()
        wait_until(lambda: transfer.state is State.ERROR)


def test_what_the_server_still_holds_counts_as_lacking(
    connection: Connection, table: LookupTable
) -> None:
    transfer, delivery = follow(table, connection.own, connection.peer)
    transfer.written = SIZE
    delivery.handed_over()
    connection.server.send(b"x" * 1000)
    connection.drain(1000)
    wait_until(lambda: table.lookup("id").sent == 1000)
    assert table.lookup("id").state is State.RUNNING
    connection.server.setblocking(True)
    reader = threading.Thread(target=connection.drain, args=(SIZE - 1000,))
    reader.start()
    connection.server.sendall(b"x" * (SIZE - 1000))
    reader.join()
    wait_until(lambda: transfer.state is State.DONE)


def test_a_connection_is_kept_for_the_next_response(
    connection: Connection, table: LookupTable
) -> None:
    for _ in range(3):
        transfer, delivery = follow(table, connection.own, connection.peer)
        written = fill(connection, transfer)
        delivery.handed_over()
        assert table.lookup("id").state is State.RUNNING
        connection.drain(written)
        wait_until(partial(is_done, transfer))


def test_responses_that_share_a_connection_end_each_by_itself(
    connection: Connection, table: LookupTable
) -> None:
    first, delivery = follow(table, connection.own, connection.peer, "first")
    second, _ = follow(table, connection.own, connection.peer, "second")
    written = fill(connection, first)
    delivery.handed_over()
    assert table.lookup("first").state is State.RUNNING
    connection.drain(written)
    wait_until(lambda: first.state is State.DONE)
    assert second.state is State.RUNNING


def test_a_client_that_takes_nothing_is_given_up(
    connection: Connection, table: LookupTable, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mod_progress.delivery.deliveries.PATIENCE", 2 * INTERVAL)
    transfer, delivery = follow(table, connection.own, connection.peer)
    fill(connection, transfer)
    delivery.handed_over()
    wait_until(lambda: transfer.state is State.ERROR)


@pytest.fixture
def _no_patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """Time in which nothing happens is short."""
    for name in ("IDLE", "HALF_CLOSED_TIMEOUT"):
        monkeypatch.setattr(f"mod_progress.delivery.deliveries.{name}", 2 * INTERVAL)


@pytest.mark.parametrize("server_closes", [True, False])
def test_a_reset_ends_a_transfer_though_the_app_is_silent(
    connection: Connection, table: LookupTable, server_closes: bool
) -> None:
    transfer, _ = follow(table, connection.own, connection.peer)
    send(connection, transfer, b"hello world")
    connection.reset()
    if server_closes:
        connection.server.close()
    wait_until(lambda: transfer.state is State.ERROR)
    assert transfer.status == 200


def test_a_reset_ends_an_upload_that_nobody_reads(
    connection: Connection, table: LookupTable
) -> None:
    transfer = register(table, "id")
    delivery = follow_transfer(transfer, connection.own, connection.peer)
    wait_until(lambda: delivery.has_carried() is False)
    connection.reset()
    wait_until(lambda: transfer.state is State.ERROR)
    assert transfer.status == 0


@pytest.mark.parametrize("leave", [Connection.reset, lambda connection: connection.client.close()])
@pytest.mark.parametrize("server_closes", [True, False])
def test_a_client_that_leaves_with_everything_has_it_though_the_server_never_returns(
    connection: Connection,
    table: LookupTable,
    leave: Callable[[Connection], None],
    server_closes: bool,
) -> None:
    transfer, delivery = follow(table, connection.own, connection.peer)
    delivery.passes_end()
    send(connection, transfer, b"hello world")
    wait_until(lambda: table.lookup("id").sent == 11)
    leave(connection)
    if server_closes:
        connection.server.close()
    wait_until(lambda: transfer.state is State.DONE)


@pytest.mark.usefixtures("_no_patience")
def test_a_client_that_is_reset_without_everything_has_not_everything(
    connection: Connection, table: LookupTable
) -> None:
    transfer, delivery = follow(table, connection.own, connection.peer)
    delivery.passes_end()
    fill(connection, transfer)
    wait_until(lambda: table.lookup("id").sent > 0)
    connection.reset()
    wait_until(lambda: transfer.state is State.ERROR)


@pytest.mark.parametrize("read", [True, False])
def test_a_server_that_closes_a_descriptor_late(
    connection: Connection, table: LookupTable, read: bool
) -> None:
    """Nobody asked while the client had something and the connection was there."""
    transfer, delivery = follow(table, connection.own, connection.peer, size=1000)
    transfer.written += 1000
    if read:
        connection.server.send(bytes(1000))
        connection.drain(1000)
    else:
        connection.fill()
    connection.reset()
    wait_until(lambda: gone(connection))
    delivery.handed_over()
    another_one_dies(table)
    assert transfer.state is State.RUNNING
    connection.server.close()
    wait_until(lambda: transfer.state is (State.DONE if read else State.ERROR))


def test_a_response_is_whole_with_its_content_length_though_the_app_goes_on(
    connection: Connection, table: LookupTable
) -> None:
    transfer, _ = follow(table, connection.own, connection.peer, size=11)
    send(connection, transfer, b"hello world")
    wait_until(lambda: transfer.state is State.DONE)


def test_a_response_that_ends_before_its_content_length_is_an_error(table: LookupTable) -> None:
    transfer, delivery = follow(table, None, None, size=10)
    transfer.written += 9
    delivery.handed_over()
    assert transfer.state is State.ERROR


def test_a_response_without_a_byte_of_its_content_length_may_be_a_file_of_the_server(
    table: LookupTable,
) -> None:
    transfer, delivery = follow(table, None, None, size=10)
    delivery.handed_over()
    assert transfer.state is State.DONE


@pytest.mark.usefixtures("_no_patience")
def test_a_response_that_something_else_compresses_is_done_when_the_queue_stays_empty(
    connection: Connection, table: LookupTable
) -> None:
    transfer, delivery = follow(table, connection.own, connection.peer)
    transfer.written += SIZE
    send(connection, transfer, b"x" * 1000)
    delivery.handed_over()
    wait_until(lambda: transfer.state is State.DONE)
    assert table.lookup("id").sent == SIZE + 1000


@pytest.mark.usefixtures("_no_patience")
def test_a_client_that_closed_its_side_is_given_up_when_nothing_moves(
    connection: Connection, table: LookupTable
) -> None:
    transfer, _ = follow(table, connection.own, connection.peer)
    send(connection, transfer, b"hello world")
    connection.client.shutdown(socket.SHUT_WR)
    wait_until(lambda: transfer.state is State.ERROR)


def test_a_client_that_closed_its_side_may_still_read(
    connection: Connection, table: LookupTable
) -> None:
    transfer, delivery = follow(table, connection.own, connection.peer)
    connection.client.shutdown(socket.SHUT_WR)
    written = fill(connection, transfer)
    delivery.handed_over()
    connection.drain(written)
    wait_until(lambda: transfer.state is State.DONE)


def test_a_small_response_that_waits_behind_others_is_lost_with_the_connection(
    connection: Connection, table: LookupTable
) -> None:
    connection.fill()
    transfer, delivery = follow(table, connection.own, connection.peer, size=100)
    transfer.written += 100
    delivery.handed_over()
    connection.reset()
    connection.server.close()
    wait_until(lambda: transfer.state is State.ERROR)


def test_whether_anything_was_carried(connection: Connection, table: LookupTable) -> None:
    transfer, delivery = follow(table, connection.own, connection.peer)
    assert delivery.has_carried() is False
    send(connection, transfer, b"hello world")
    assert delivery.has_carried() is True
    connection.reset()
    assert delivery.has_carried() is True
    _, delivery = follow(table, None, None)
    assert delivery.has_carried() is None
