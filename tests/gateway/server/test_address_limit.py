from __future__ import annotations

import socket
import ssl
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from functools import partial
from ipaddress import ip_network
from pathlib import Path

import pytest

from mod_progress.gateway.actions.answers import Respond
from mod_progress.gateway.limits import Limits
from mod_progress.gateway.server.address_limit import AddressLimit
from mod_progress.gateway.server.listening import tls_context
from mod_progress.gateway.server.site import Site, Tls
from tests.gateway.fronts import GET
from tests.gateway.running import PATIENCE, Gateway, eventually


@pytest.mark.parametrize(
    ("first", "second", "above"),
    [
        ("192.0.2.1", "192.0.2.1", 1),
        ("192.0.2.1", "192.0.2.2", 0),
        ("192.0.2.1", "::ffff:192.0.2.1", 1),
        ("2001:db8:1:2::1", "2001:db8:1:2:ffff::1", 1),
        ("2001:db8:1:2::1", "2001:db8:1:3::1", 0),
        ("fe80::1%eth0", "fe80::2%eth1", 1),
        ("", "", 0),
    ],
)
def test_what_counts_as_one_address(first: str, second: str, above: int) -> None:
    limit = AddressLimit(1)
    assert limit.enter(first) == 0
    assert limit.enter(second) == above
    limit.leave(second)
    assert limit.enter(second) == above


def test_an_address_without_connections_takes_no_memory() -> None:
    limit = AddressLimit(2)
    for number in range(100):
        limit.enter(f"192.0.2.{number}")
        limit.enter("")
    assert len(limit) == 100
    for number in range(100):
        limit.leave(f"192.0.2.{number}")
        limit.leave("")
    assert len(limit) == 0


Start = Callable[..., Gateway]


@pytest.fixture
def start() -> Iterator[Start]:
    """Start a gateway for two connections of an address."""
    with ExitStack() as cleanup:

        def begin(tls: Tls | None = None, trusted: str = "192.0.2.0/24") -> Gateway:
            site = Site(
                action=Respond(200, b"hello"),
                limits=Limits(per_address=2, linger_time=600, drain_time=0.1),
                trusted=(ip_network(trusted),),
            )
            gateway = Gateway(site, None if tls is None else tls_context(tls))
            cleanup.callback(gateway.stop)
            return gateway

        yield begin


def connect(gateway: Gateway, source: str = "127.0.0.1") -> socket.socket:
    return socket.create_connection(("127.0.0.1", gateway.port), PATIENCE, (source, 0))


def ask(client: socket.socket) -> bytes:
    """Return the status line."""
    client.sendall(GET)
    return client.recv(65536).partition(b"\r\n")[0]


OK = b"HTTP/1.1 200 OK"


def is_served(gateway: Gateway) -> bool:
    try:
        return gateway.request("GET", "/").status == 200
    except OSError:
        return False


def until_the_end(client: socket.socket) -> bytes:
    return b"".join(iter(partial(client.recv, 65536), b""))


def test_one_more_is_told_and_many_more_are_reset(start: Start) -> None:
    gateway = start()
    with ExitStack() as held:
        served = [held.enter_context(connect(gateway)) for _ in range(2)]
        assert [ask(client) for client in served] == [OK, OK]
        for _ in range(2):
            told = held.enter_context(connect(gateway))
            answer = until_the_end(told)
            assert answer.startswith(b"HTTP/1.1 503 Service Unavailable\r\n")
            assert b"\r\nRetry-After: 5\r\n" in answer
            assert b"\r\nConnection: close\r\n" in answer
            assert answer.endswith(
                b"503 Service Unavailable: too many connections from your address\n"
            )
        with pytest.raises(ConnectionError), connect(gateway) as reset:
            reset.recv(1)
        # Those who are there, and other addresses, do not notice.
        other = held.enter_context(connect(gateway, "127.0.0.2"))
        assert [ask(client) for client in (*served, other)] == [OK, OK, OK]
    eventually(lambda: is_served(gateway))


def test_tls_is_not_even_begun(start: Start, certificate: tuple[Path, Path]) -> None:
    gateway = start(Tls(*map(str, certificate)))
    with gateway.connect() as first, gateway.connect() as second:
        assert [ask(client) for client in (first, second)] == [OK, OK]
        with pytest.raises((ConnectionError, ssl.SSLError)):
            gateway.connect()
        assert [ask(client) for client in (first, second)] == [OK, OK]
    eventually(lambda: is_served(gateway))


def test_a_trusted_front_proxy_has_no_limit(start: Start) -> None:
    gateway = start(trusted="127.0.0.0/8")
    with ExitStack() as held:
        clients = [held.enter_context(connect(gateway)) for _ in range(5)]
        assert [ask(client) for client in clients] == [OK] * 5
