"""Whom a request comes from that a trusted front proxy at 10.0.0.1 has sent."""

from __future__ import annotations

from ipaddress import ip_address, ip_network

import pytest

from mod_progress.gateway.http.forwarded import UNKNOWN, Node, client_of

PEER = ("10.0.0.1", 4321)


def trusts(address: str) -> bool:
    return bool(address) and ip_address(address) in ip_network("10.0.0.0/8")


def origin(*lines: bytes) -> Node:
    fields = [line.partition(b": ") for line in lines]
    return client_of(tuple((name, value) for name, _, value in fields), PEER, trusts)


@pytest.mark.parametrize(
    ("value", "node"),
    [
        (b"192.0.2.1", ("192.0.2.1", -1)),
        (b"192.0.2.1:80", ("192.0.2.1", 80)),
        (b"2001:DB8::1", ("2001:db8::1", -1)),
        (b"[2001:db8::1]", ("2001:db8::1", -1)),
        (b"[2001:db8::1]:443", ("2001:db8::1", 443)),
        (b"::ffff:192.0.2.1", ("192.0.2.1", -1)),
        # The last one that is not trusted; what is before it may be invented.
        (b"6.6.6.6, 192.0.2.1", ("192.0.2.1", -1)),
        (b"6.6.6.6,192.0.2.1 , 10.0.0.3,10.0.0.2", ("192.0.2.1", -1)),
        (b"10.0.0.9, 192.0.2.1, 10.0.0.2", ("192.0.2.1", -1)),
        (b"rubbish, 192.0.2.1", ("192.0.2.1", -1)),
        (b", 192.0.2.1,,", ("192.0.2.1", -1)),
        # Clients that are proxies themselves.
        (b"10.0.0.3, 10.0.0.2", ("10.0.0.3", -1)),
        # Nobody knows what is before a node that is hidden.
        (b"192.0.2.1, unknown", UNKNOWN),
        (b"192.0.2.1, unknown, 10.0.0.2", UNKNOWN),
        (b"192.0.2.1, 10.0.0.999", UNKNOWN),
        (b"192.0.2.1, [10.0.0.2]", UNKNOWN),
        (b"192.0.2.1, \xe9", UNKNOWN),
        (b"localhost", UNKNOWN),
        (b'fe80::1%" 200', UNKNOWN),
        # Nothing is said: the front proxy asks for itself.
        (b"", PEER),
        (b" , ", PEER),
    ],
)
def test_x_forwarded_for(value: bytes, node: Node) -> None:
    assert origin(b"Host: a", b"X-Forwarded-For: " + value) == node


@pytest.mark.parametrize(
    ("value", "node"),
    [
        (b"for=192.0.2.1", ("192.0.2.1", -1)),
        (b"For=192.0.2.1;proto=https;by=203.0.113.43", ("192.0.2.1", -1)),
        (b'proto=http; for="192.0.2.1:47011" ;host="a,b;c"', ("192.0.2.1", 47011)),
        (b'for="[2001:db8::1]:4711"', ("2001:db8::1", 4711)),
        (b'for="\\[2001:db8::1\\]"', ("2001:db8::1", -1)),
        (b'for="192.0.2.1:_port"', ("192.0.2.1", -1)),
        (b"for=6.6.6.6, for=192.0.2.1, for=10.0.0.2", ("192.0.2.1", -1)),
        (b'for=6.6.6.6;host=", for=7.7.7.7", for=192.0.2.1', ("192.0.2.1", -1)),
        (b"for=192.0.2.1;,, for=10.0.0.2,", ("192.0.2.1", -1)),
        (b"for=192.0.2.1, for=unknown", UNKNOWN),
        (b"for=192.0.2.1, for=_hidden", UNKNOWN),
        (b"for=192.0.2.1, proto=https", UNKNOWN),
        # What ends where, nobody can tell.
        (b'for=", for=192.0.2.1', UNKNOWN),
        (b"for=192.0.2.1 for=192.0.2.2", UNKNOWN),
        (b"for=[2001:db8::1]", UNKNOWN),
        (b"", PEER),
        (b",", PEER),
    ],
)
def test_forwarded(value: bytes, node: Node) -> None:
    assert origin(b"forwarded: " + value) == node


def test_lines_of_one_name_are_one_list() -> None:
    assert origin(b"X-Forwarded-For: 192.0.2.1", b"x-forwarded-for: 10.0.0.2") == ("192.0.2.1", -1)
    assert origin(b"Forwarded: for=192.0.2.1", b"forwarded: for=10.0.0.2") == ("192.0.2.1", -1)


def test_forwarded_counts_only_without_x_forwarded_for() -> None:
    lines = (b"Forwarded: for=6.6.6.6", b"X-Forwarded-For: 192.0.2.1")
    assert origin(*lines) == origin(*reversed(lines)) == ("192.0.2.1", -1)


@pytest.mark.parametrize("name", [b"X-Forwarded-For: ", b"Forwarded: for="])
def test_hops_are_bounded(name: bytes) -> None:
    between = b", " if name.startswith(b"X") else b", for="
    assert origin(name + between.join([b"192.0.2.1", *[b"10.0.0.2"] * 31])) == ("192.0.2.1", -1)
    assert origin(name + between.join([b"192.0.2.1", *[b"10.0.0.2"] * 32])) == UNKNOWN
