"""The fields that go on, in both directions, and those that tell a backend of the client."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from functools import lru_cache

from mod_progress.gateway.client import Client
from mod_progress.gateway.exchange import Exchange
from mod_progress.gateway.http.heads import Fields, request_head, response_head
from mod_progress.gateway.http.request import RequestHead
from mod_progress.gateway.http.response import ResponseHead

#: Fields that are for one connection alone (RFC 9110, section 7.6.1), and those that the gateway
#: writes itself.
HOP_BY_HOP = frozenset(
    b"connection http2-settings keep-alive proxy-connection te trailer transfer-encoding"
    b" upgrade".split()
)
#: Fields that `Connection` cannot remove: without them the message has another meaning.
PROTECTED = frozenset(b"content-length host via forwarded x-real-ip".split())

#: The Via lines, by the minor version of the HTTP/1 message (RFC 9110, section 7.6.3).
VIA = (b"Via: 1.0 mod_progress\r\n", b"Via: 1.1 mod_progress\r\n")

#: Fields that the gateway always writes itself.
_REWRITTEN = frozenset({b"host", b"content-length", b"expect"})
#: Fields that list every hop: ours is added to those of a trusted front proxy.
_CHAINED = frozenset({b"x-forwarded-for", b"forwarded"})


def end_to_end(fields: Fields, connection: frozenset[bytes]) -> Iterator[tuple[bytes, bytes]]:
    """Yield the fields that go on to the next hop, as names in lower case and lines.

    RFC 9110, section 7.6.1: fields for this connection alone are dropped. Fields that
    ``connection`` names are dropped too, but never one of `PROTECTED`.
    """
    for name, value in fields:
        key = name.lower()
        named = key in connection and key not in PROTECTED and not key.startswith(b"x-forwarded-")
        if not named and key not in HOP_BY_HOP:
            yield key, b"%b: %b\r\n" % (name, value)


def end_to_end_lines(response: ResponseHead) -> list[bytes]:
    """Return the fields that go on to the client. The gateway writes the length itself."""
    return [
        line
        for name, line in end_to_end(response.fields, response.connection)
        if name != b"content-length"
    ]


async def forward_interim(exchange: Exchange, response: ResponseHead) -> None:
    """Send an interim response on (RFC 9110, section 15.2): never to an HTTP/1.0 client."""
    if exchange.request.minor:
        exchange.client.write(response_head(response.status, end_to_end_lines(response)))
        await exchange.client.drain()
    await asyncio.sleep(0)  # a backend may send thousands: others have their turn


def forwarded_head(request: RequestHead, client: Client, size: int | None = None) -> bytes:
    """Serialise the head for a backend; ``size`` is that of a body that was held back."""
    if size is not None or request.query:  # such a request hardly comes again
        return _serialise(request, client, size)
    if client.forwarded[0] is not request:  # equal heads share one object
        client.remember_forwarded(request, _serialise(request, client, None))
    return client.forwarded[1]


def _serialise(request: RequestHead, client: Client, size: int | None) -> bytes:
    host = asked = request.host or _authority(*client.local)
    if request.original is not None:
        asked = request.original.host or _authority(*client.local)
    if client.trusted:
        fields = _front_proxy_fields(request, client, asked)
    else:
        if request.shared.forwarded is None:
            request.shared.forwarded = _client_fields(request)
        fields = request.shared.forwarded + _forwarded_lines(client, asked)
    framing = _framing(request, size, client.state.tunnelled)
    return request_head(
        request.method,
        request.target,
        (b"Host: %b\r\n" % host, fields, framing, VIA[request.minor]),
    )


def _authority(address: str, port: int) -> bytes:
    """Return the address by which the client reached us, in the syntax of Host."""
    if not address:
        return b"localhost"  # a Unix socket
    return (f"[{address}]:{port}" if ":" in address else f"{address}:{port}").encode()


def _forwarded_lines(client: Client, host: bytes) -> bytes:
    """Return the fields that tell a backend of the client."""
    return _forwarded_template(client.peer[0], client.scheme) % (host, host)


@lru_cache(1024)
def _forwarded_template(address: str, scheme: str) -> bytes:
    address = address.replace("%", "%%") or "unknown"
    node = f'"[{address}]"' if ":" in address else address
    return (
        f"X-Forwarded-For: {address}\r\nX-Real-IP: {address}\r\n"
        f"X-Forwarded-Proto: {scheme}\r\nX-Forwarded-Host: %b\r\n"
        f'Forwarded: for={node};proto={scheme};host="%b"\r\n'
    ).encode()


def next_protocol(request: RequestHead, tunnelled: frozenset[bytes]) -> bytes | None:
    """Return the protocol that the backend is asked to switch to, if there is one."""
    return next((protocol for protocol in request.upgrade if protocol in tunnelled), None)


def _framing(request: RequestHead, size: int | None, tunnelled: frozenset[bytes]) -> bytes:
    if size is not None:
        return b"Content-Length: %d\r\n" % size
    # RFC 9110, section 10.1.1: an HTTP/1.0 client does not know an interim response.
    expectation = b"Expect: 100-continue\r\n" if request.expects_continue else b""
    if request.chunked:
        return b"Transfer-Encoding: chunked\r\n" + expectation
    if request.content_length is not None:
        return b"Content-Length: %d\r\n%b" % (request.content_length, expectation)
    protocol = next_protocol(request, tunnelled)
    return b"Connection: upgrade\r\nUpgrade: %b\r\n" % protocol if protocol else b""


def _client_fields(request: RequestHead) -> bytes:
    """Return a client's fields, without those in which only a trusted proxy is believed."""
    return b"".join(
        line
        for name, line in end_to_end(request.fields, request.connection)
        if name not in _REWRITTEN and not tells_of_client(name)
    )


def _is_alias(name: bytes) -> bool:
    """Whether a backend may take a field for one that tells of the client.

    A backend that knows fields as CGI variables takes an underscore for a dash.
    """
    return b"_" in name and tells_of_client(name)


def tells_of_client(name: bytes) -> bool:
    """Whether only a front proxy is believed in a field; ``name`` is in lower case."""
    name = name.replace(b"_", b"-")
    return name.startswith(b"x-forwarded-") or name in (b"forwarded", b"x-real-ip")


def _front_proxy_fields(request: RequestHead, client: Client, host: bytes) -> bytes:
    """Return the fields of a trusted front proxy; ours are added where it sent none."""
    fields = b"".join(
        line
        for name, line in end_to_end(request.fields, request.connection)
        if name not in _REWRITTEN and name not in _CHAINED and not _is_alias(name)
    )
    for line in _forwarded_lines(client, host).splitlines(keepends=True):
        name, _, value = line.rstrip().partition(b": ")
        key = name.lower()
        if key in _CHAINED:
            fields += b"%b: %b\r\n" % (name, b", ".join([*_values(request.fields, key), value]))
        elif key == b"x-real-ip" and key not in request.named:
            origin = client.origin_of(request)[0] or "unknown"
            fields += b"%b: %b\r\n" % (name, origin.encode())
        elif key not in request.named:
            fields += line
    return fields


def _values(fields: Fields, key: bytes) -> list[bytes]:
    return [value for name, value in fields if name.lower() == key and value]
