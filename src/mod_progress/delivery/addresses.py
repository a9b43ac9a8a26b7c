"""Which two addresses a connection has, as far as its server reports them."""

from __future__ import annotations

import socket
from collections.abc import Sequence
from contextlib import suppress
from functools import lru_cache
from typing import Any

from mod_progress.delivery.sock_diag import Connection

#: A host and a port as a server reports them. The host may be a path or a name, the port may be
#: text or None.
Address = Sequence[Any]

#: Nothing is sent to this port: the system is asked for its route to a host by connecting a UDP
#: socket, which needs a port.
_DISCARD_PORT = 9


#: The hosts and ports of both sides: own host, own port, the client's host, the client's port.
Addresses = tuple[str, int, str, int]


def read_addresses(own: Address | None, client: Address | None) -> Addresses | None:
    """Return what a server reports; None where it reports no two ends of a TCP connection."""
    if not (own and client):
        return None
    try:
        own_host, own_port = own[0], int(own[1])
        client_host, client_port = client[0], int(client[1])
    except (TypeError, ValueError, LookupError, OverflowError):
        return None
    if not (
        own_port and client_port and isinstance(own_host, str) and isinstance(client_host, str)
    ):
        return None
    return own_host, own_port, client_host, client_port


def find_connection(addresses: Addresses) -> Connection | None:
    """Return the connection with these addresses; None where they cannot be those of one."""
    own, own_port, client, client_port = addresses
    with suppress(ValueError, OSError):
        host = own if _is_specified(own) else _host_towards(client)
        return Connection((host, own_port), (client, client_port))
    return None


def _is_specified(host: str) -> bool:
    """Whether a host is an address, and not the one that stands for all addresses."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with suppress(ValueError, OSError):
        return any(socket.inet_pton(family, host))
    return False


@lru_cache
def _host_towards(client: str) -> str:
    """Return the address from which the system sends to a client.

    Some servers report what they listen on, all addresses or a name, and not the connection's own
    address. Raises OSError or ValueError where ``client`` is not an address, or has no route.
    """
    family = socket.AF_INET6 if ":" in client else socket.AF_INET
    socket.inet_pton(family, client)  # without this check, connect() would look a name up
    with socket.socket(family, socket.SOCK_DGRAM) as route:
        route.connect((client, _DISCARD_PORT))
        return str(route.getsockname()[0])
