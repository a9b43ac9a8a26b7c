from __future__ import annotations

import socket

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from mod_progress.gateway.address import (
    Address,
    AddressError,
    parse_address,
    parse_listen_address,
)


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("127.0.0.1:8080", Address("127.0.0.1", 8080)),
        ("localhost:80", Address("localhost", 80)),
        ("a-b_c.example.:1", Address("a-b_c.example.", 1)),
        ("bücher.example:65535", Address("bücher.example", 65535)),
        ("[::1]:80", Address("::1", 80)),
        ("[::ffff:127.0.0.1]:80", Address("::ffff:127.0.0.1", 80)),
        ("unix:/run/app.sock", Address(path="/run/app.sock")),
        ("unix:app.sock", Address(path="app.sock")),
        ("unix:/" + "x" * 106, Address(path="/" + "x" * 106)),
        ("unix:/\udcff", Address(path="/\udcff")),
    ],
)
def test_an_address(text: str, address: Address) -> None:
    assert parse_address(text) == parse_listen_address(text) == address
    assert str(address) == text


@pytest.mark.parametrize(
    ("text", "default", "address"),
    [
        ("127.0.0.1:0", None, Address("127.0.0.1", 0)),
        ("*:80", None, Address("*", 80)),
        (":80", None, Address("*", 80)),
        ("*", 80, Address("*", 80)),
        ("localhost", 443, Address("localhost", 443)),
        ("[::]", 443, Address("::", 443)),
        ("*:81", 443, Address("*", 81)),
        ("systemd:web", 80, Address(passed="web")),
        ("systemd:mod-progress.socket", None, Address(passed="mod-progress.socket")),
    ],
)
def test_an_address_to_listen_on(text: str, default: int | None, address: Address) -> None:
    assert parse_listen_address(text, default) == address
    with pytest.raises(AddressError):
        parse_address(text)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "neither host:port nor unix:/path"),
        ("localhost", "neither host:port nor unix:/path"),
        ("localhost:", "neither host:port nor unix:/path"),
        ("localhost:http", "neither host:port nor unix:/path"),
        ("localhost:80 ", "neither host:port nor unix:/path"),
        ("a b:80", "neither host:port nor unix:/path"),
        ("::1", "neither host:port nor unix:/path"),
        ("[::1", "neither host:port nor unix:/path"),
        ("http://a:80", "neither host:port nor unix:/path"),
        ("127.0.0.1:٨٠", "neither host:port nor unix:/path"),
        ("127.0.0.1:123456", "neither host:port nor unix:/path"),
        ("127.0.0.1:65536", "has a port above 65535"),
        ("[1:2:3]:80", "not an IPv6 address"),
        ("[::1::]:80", "not an IPv6 address"),
        ("127.0.0..1:80", "not the name or the address of a host"),
        (".:80", "not the name or the address of a host"),
        ("x" * 64 + ":80", "not the name or the address of a host"),
        ("*a:80", "not the name or the address of a host"),
        ("a\0b:80", "not the name or the address of a host"),
        ("a@b:80", "not the name or the address of a host"),
        ("\udcff:80", "not the name or the address of a host"),
        ("unix:", "not the path of a socket"),
        ("unix:/a\0b", "not the path of a socket"),
        ("unix:/" + "x" * 107, "longer than the 107 bytes"),
        ("unix:/" + "é" * 54, "longer than the 107 bytes"),
    ],
)
def test_a_text_that_is_no_address(text: str, reason: str) -> None:
    for parse in (parse_address, parse_listen_address):
        with pytest.raises(AddressError, match=reason):
            parse(text)


@pytest.mark.parametrize("name", ["", "a:b", "a\0b", "é", "x" * 256])
def test_a_text_that_is_no_name_of_a_socket(name: str) -> None:
    with pytest.raises(AddressError, match="is not the name of a socket of systemd's"):
        parse_listen_address(f"systemd:{name}")


CHARACTERS = st.text(st.sampled_from("a1é.:[]*/-_\0\udcff unix"))


@given(st.text() | CHARACTERS | CHARACTERS.map("unix:{}".format) | CHARACTERS.map("{}:80".format))
@example("127.0.0..1:80")
@settings(deadline=None)
def test_any_text_is_an_address_that_the_system_takes_or_an_error(text: str) -> None:
    try:
        address = parse_listen_address(text, 80)
    except AddressError:
        return
    if address.path is None:
        address.host.encode("idna")  # what `getaddrinfo` does first
    else:
        with socket.socket(socket.AF_UNIX) as client:
            client.connect_ex(address.path)
    assert parse_listen_address(str(address)) == address
