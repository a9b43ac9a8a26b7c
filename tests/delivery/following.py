"""Transfers that are followed over a real connection."""

from __future__ import annotations

from mod_progress.delivery import sock_diag
from mod_progress.delivery.addresses import Address
from mod_progress.delivery.deliveries import Delivery
from mod_progress.delivery.watch import follow_transfer
from mod_progress.table import LookupTable
from mod_progress.transfer import State, Transfer
from tests.connections import Connection


def register(table: LookupTable, identifier: str) -> Transfer:
    transfer = table.register(identifier, 0)
    assert transfer is not None
    return transfer


def follow(
    table: LookupTable,
    own: Address | None,
    peer: Address | None,
    identifier: str = "id",
    size: int | None = None,
) -> tuple[Transfer, Delivery]:
    """Follow a transfer whose response has begun."""
    transfer = register(table, identifier)
    delivery = follow_transfer(transfer, own, peer)
    delivery.begins(size)
    transfer.response_started(200, size)
    return transfer, delivery


def is_done(transfer: Transfer) -> bool:
    return transfer.state is State.DONE


def fill(connection: Connection, transfer: Transfer) -> int:
    transfer.written += connection.fill()
    return transfer.written


def send(connection: Connection, transfer: Transfer, data: bytes) -> None:
    """Send data that the client takes at once."""
    transfer.written += len(data)
    connection.server.send(data)
    connection.drain(len(data))


def gone(connection: Connection) -> bool:
    """Whether the system knows nothing of the connection any more."""
    return sock_diag.Connection(connection.own, connection.peer).progress() is None
