from __future__ import annotations

import os
from contextlib import closing

import pytest

from mod_progress.delivery.addresses import find_connection
from mod_progress.delivery.hang_up import HangUps
from mod_progress.delivery.watch import follow_transfer
from mod_progress.table import LookupTable
from mod_progress.transfer import State
from tests.connections import DEADLINE, Connection, wait_until
from tests.delivery.following import follow, register


def key_of(connection: Connection) -> bytes:
    found = find_connection((*connection.own, *connection.peer))
    assert found is not None
    return found.key


@pytest.mark.parametrize(
    ("host", "client"), [("127.0.0.1", None), ("::1", None), ("::", "127.0.0.1")]
)
def test_the_server_sees_an_end_and_so_does_the_client(host: str, client: str | None) -> None:
    hang_ups = HangUps()
    with closing(Connection(host, client)) as ended, closing(Connection()) as other:
        before = os.listdir("/proc/self/fd")  # noqa: PTH208 - only how many there are
        hang_ups.carry_out()
        if host == "::":  # servers report the address as it is written in IPv4
            ended.own, ended.peer = (
                (end[0].removeprefix("::ffff:"), end[1]) for end in (ended.own, ended.peer)
            )
        hang_ups.ask(key_of(ended))
        hang_ups.ask(b"of a connection that is gone")
        hang_ups.carry_out()
        ended.client.settimeout(DEADLINE)
        assert ended.client.recv(1) == b""
        assert ended.server.recv(1) == b""
        with pytest.raises(BrokenPipeError):
            ended.server.send(b"more")
        with pytest.raises(BlockingIOError):
            other.server.recv(1)
        assert len(os.listdir("/proc/self/fd")) == len(before)  # noqa: PTH208


def test_a_cancelled_transfer_ends_the_connection_that_it_has_to_itself(
    table: LookupTable,
) -> None:
    with closing(Connection()) as connection:
        transfer, delivery = follow(table, connection.own, connection.peer)
        transfer.served_by(delivery)
        transfer.cancel()
        connection.client.settimeout(DEADLINE)
        assert connection.client.recv(1) == b""
        assert delivery.cancelled
        assert transfer.snapshot()[::5] == (State.ERROR, 0)


def test_a_connection_that_others_share_stays(table: LookupTable) -> None:
    with closing(Connection()) as connection:
        first = register(table, "first")
        delivery = follow_transfer(first, connection.own, connection.peer)
        first.served_by(delivery)
        delivery.exclusive = False
        other, _ = follow(table, connection.own, connection.peer, "other")
        first.cancel()
        assert delivery.cancelled
        connection.server.send(b"data")
        other.written = 4
        connection.drain(4)
        wait_until(lambda: other.snapshot().sent == 4)
        with pytest.raises(BlockingIOError):
            connection.server.recv(1)
