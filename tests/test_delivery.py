import contextlib
import os
import threading
from collections.abc import Iterator
from functools import partial

import pytest

from mod_progress.delivery import INTERVAL, Address, Delivery, follow_transfer
from mod_progress.table import LookupTable
from mod_progress.transfer import State, Transfer
from tests.connections import Connection, wait_until

SIZE = 1 << 20


@pytest.fixture
def connection() -> Iterator[Connection]:
    with contextlib.closing(Connection()) as connection:
        yield connection


@pytest.fixture
def table() -> LookupTable:
    return LookupTable(ttl=30)


def register(table: LookupTable, identifier: str) -> Transfer:
    transfer = table.register(identifier, 0)
    assert transfer is not None
    return transfer


def follow(
    table: LookupTable, own: Address, peer: Address, identifier: str = "id"
) -> tuple[Transfer, Delivery]:
    """Follow a transfer whose response has begun."""
    transfer = register(table, identifier)
    delivery = follow_transfer(transfer, own, peer)
    delivery.begins(None)
    transfer.response_started(200, None)
    return transfer, delivery


def is_done(transfer: Transfer) -> bool:
    return transfer.state is State.DONE


def fill(connection: Connection, transfer: Transfer) -> int:
    transfer.written += connection.fill()
    return transfer.written


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
    """A server on threads may have closed the connection before the app's last word."""
    transfer, delivery = follow(table, connection.own, connection.peer)
    connection.server.send(b"x" * 1000)
    transfer.written = 1000
    connection.drain(1000)
    connection.client.close()
    connection.server.close()
    another_one_dies(table)
    assert transfer.state is State.RUNNING
    delivery.handed_over()
    wait_until(lambda: transfer.state is State.DONE)


def another_one_dies(table: LookupTable) -> None:
    """Wait until the deaths until now are known, by one that is told after them."""
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


@pytest.mark.parametrize(
    ("own", "client"),
    [
        (None, None),
        (("127.0.0.1", 80), None),
        (("/run/app.socket", None), ("", 0)),
        (("127.0.0.1", 80), ("203.0.113.7", 0)),
        (("127.0.0.1", "80"), ("203.0.113.7", "")),
        (("testserver", 80), ("testclient", 50000)),
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


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "example.invalid"])
def test_a_server_that_tells_where_it_listens_is_understood(
    connection: Connection, table: LookupTable, host: str
) -> None:
    transfer, delivery = follow(table, (host, connection.own[1]), connection.peer)
    written = fill(connection, transfer)
    delivery.handed_over()
    assert transfer.state is State.RUNNING
    connection.drain(written)
    wait_until(lambda: transfer.state is State.DONE)


def test_ports_are_told_as_text_too(connection: Connection, table: LookupTable) -> None:
    own, client = ((host, str(port)) for host, port in (connection.own, connection.peer))
    transfer, delivery = follow(table, own, client)
    fill(connection, transfer)
    delivery.handed_over()
    assert table.lookup("id").state is State.RUNNING


def test_a_client_that_takes_nothing_is_given_up(
    connection: Connection, table: LookupTable, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mod_progress.delivery.PATIENCE", 2 * INTERVAL)
    transfer, delivery = follow(table, connection.own, connection.peer)
    fill(connection, transfer)
    delivery.handed_over()
    wait_until(lambda: transfer.state is State.ERROR)


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
