"""What a head says, as pure syntax; its grammar is in behaviours, its invariants in fuzz."""

from __future__ import annotations

import pytest

from mod_progress.gateway.http.heads import response_head
from mod_progress.gateway.http.request import RequestHead, parse_request
from mod_progress.gateway.http.response import parse_response
from mod_progress.gateway.limits import HeadLimits

LIMITS = HeadLimits()


def parsed(*fields: bytes, method: bytes = b"POST", version: bytes = b"1.1") -> RequestHead:
    lines = [b"%b /a%%20b?c=d HTTP/%b" % (method, version), b"Host: h", *fields, b"", b""]
    return parse_request(b"\r\n".join(lines), LIMITS)


def test_a_request() -> None:
    request = parsed(b"A:  1 ", b"a: 2")
    assert (request.method, request.target, request.host) == ("POST", b"/a%20b?c=d", b"h")
    assert (request.path, request.query) == ("/a b", b"c=d")
    assert request.fields == ((b"Host", b"h"), (b"A", b"1"), (b"a", b"2"))
    assert request.named == {b"host": b"h", b"a": b"1"}


@pytest.mark.parametrize(
    ("field", "chunked", "length", "size"),
    [
        (b"A: b", False, None, 0),
        (b"Content-Length: 5", False, 5, 5),
        (b"Content-Length: 0", False, 0, 0),
        (b"Transfer-Encoding: chunked", True, None, None),
    ],
)
def test_framing(field: bytes, chunked: bool, length: int | None, size: int | None) -> None:
    request = parsed(field)
    assert (request.chunked, request.content_length, request.body_size) == (chunked, length, size)


@pytest.mark.parametrize(
    ("version", "connection", "keep_alive"),
    [
        (b"1.1", b"", True),
        (b"1.1", b"close", False),
        (b"1.1", b"keep-alive, Close", False),
        (b"1.0", b"", False),
        (b"1.0", b"Keep-Alive", True),
        (b"1.2", b"", True),
    ],
)
def test_persistence(version: bytes, connection: bytes, keep_alive: bool) -> None:
    field = b"Connection: " + connection
    assert parsed(field, version=version).keep_alive is keep_alive
    response = parse_response(b"HTTP/%b 200 OK\r\n%b\r\n\r\n" % (version, field), LIMITS)
    assert response.keep_alive is keep_alive


@pytest.mark.parametrize(
    ("fields", "version", "upgrade"),
    [
        ([b"Connection: Upgrade", b"Upgrade: h2c, WebSocket"], b"1.1", [b"h2c", b"websocket"]),
        ([b"Upgrade: websocket"], b"1.1", []),
        ([b"Connection: upgrade", b"Upgrade: websocket"], b"1.0", []),
        ([b"Connection: upgrade", b"Upgrade: websocket", b"Content-Length: 1"], b"1.1", []),
    ],
)
def test_upgrades(fields: list[bytes], version: bytes, upgrade: list[bytes]) -> None:
    assert parsed(*fields, version=version).upgrade == upgrade


def test_equal_heads_are_parsed_once() -> None:
    head = b"GET /path HTTP/1.1\r\nHost: h\r\n\r\n"
    assert parse_request(head, HeadLimits()) is parse_request(head, HeadLimits())


def test_of_heads_that_differ_in_their_query_the_fields_are_parsed_once() -> None:
    one, other = (
        parse_request(b"GET /?%d HTTP/1.1\r\nHost: h\r\nA: b\r\n\r\n" % number, HeadLimits())
        for number in (1, 2)
    )
    assert (one.query, other.query) == (b"1", b"2")
    assert one.shared is other.shared


def test_a_response() -> None:
    head = b"HTTP/1.0 404 Gone Fishing\r\nA:  b \t\r\nContent-Length: 7\r\n\r\n"
    response = parse_response(head, LIMITS)
    assert (response.status, response.minor, response.content_length) == (404, 0, 7)
    assert response.fields == ((b"A", b"b"), (b"Content-Length", b"7"))


def test_a_status_without_a_phrase() -> None:
    assert response_head(299, [b"A: b\r\n"]) == b"HTTP/1.1 299 \r\nA: b\r\n\r\n"
