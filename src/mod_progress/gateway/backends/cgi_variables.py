"""What a request is as CGI variables (RFC 3875, section 4.1), as lighttpd 2 has them."""

from __future__ import annotations

import re
from collections.abc import Iterator

from mod_progress import __version__
from mod_progress.gateway.backends.forwarding import HOP_BY_HOP, PROTECTED, tells_of_client
from mod_progress.gateway.exchange import Exchange
from mod_progress.gateway.http.request import RequestHead

Variable = tuple[bytes, bytes]

_SOFTWARE = b"mod_progress/" + __version__.encode()

#: The default ports of the schemes.
_PORTS = {"http": b"80", "https": b"443"}

#: The host of a Host field, and its port.
_HOST = re.compile(rb"(\[.*\]|[^:]*)(?::([0-9]+))?").match

#: Names that no two fields share as variables. Others could be taken for a field that is trusted.
_PLAIN = re.compile(rb"[0-9a-z-]+").fullmatch

#: Fields that are variables of their own, that are the gateway's business, or that a program could
#: take for a setting: HTTP_PROXY is the proxy of many HTTP clients (CVE-2016-5385).
_NOT_PASSED = HOP_BY_HOP | {b"content-length", b"content-type", b"expect", b"proxy"}


def cgi_variables(exchange: Exchange, size: int | None, *, at_root: bool) -> Iterator[Variable]:
    """Yield the variables; ``size`` is that of the body, None where there is none.

    ``at_root`` tells that the backend is one program for all paths.
    """
    request = exchange.request
    if size is not None:
        yield b"CONTENT_LENGTH", b"%d" % size
    if b"content-type" in request.named:
        yield b"CONTENT_TYPE", request.named[b"content-type"]
    yield b"GATEWAY_INTERFACE", b"CGI/1.1"
    yield b"SERVER_SOFTWARE", _SOFTWARE
    yield b"SERVER_PROTOCOL", b"HTTP/1.%d" % request.minor
    yield b"REQUEST_METHOD", request.method.encode()
    yield b"REQUEST_URI", request.as_received.target
    if request.target != request.as_received.target:
        yield b"REDIRECT_URI", request.target
    yield b"QUERY_STRING", request.query
    yield b"REDIRECT_STATUS", b"200"  # PHP may be built to refuse to run without it
    yield from _connection(exchange)
    yield from _script(exchange, at_root)
    yield from _fields(request, exchange.client.trusted)


def _connection(exchange: Exchange) -> Iterator[Variable]:
    request, client = exchange.request, exchange.client
    scheme = client.scheme
    if client.trusted and request.named.get(b"x-forwarded-proto", b"").lower() == b"https":
        scheme = "https"
    address, local_port = client.local
    host = _HOST(request.host)
    assert host is not None, "each part of the expression may be empty"
    yield b"REQUEST_SCHEME", scheme.encode()
    if scheme == "https":
        yield b"HTTPS", b"on"
    yield b"SERVER_NAME", host[1] or address.encode() or b"localhost"
    yield b"SERVER_PORT", b"%d" % local_port if local_port > 0 else host[2] or _PORTS[scheme]
    yield b"SERVER_ADDR", address.encode()
    address, port = exchange.remote
    yield b"REMOTE_ADDR", address.encode()
    if port > 0:
        yield b"REMOTE_PORT", b"%d" % port
    if exchange.user is not None:
        yield b"AUTH_TYPE", b"Basic"
        yield b"REMOTE_USER", exchange.user


def _script(exchange: Exchange, at_root: bool) -> Iterator[Variable]:
    """Yield which program answers, and what of the path is left for it (sections 4.1.5, 4.1.13)."""
    docroot, file = exchange.docroot, exchange.physical_path
    if docroot is not None:
        yield b"DOCUMENT_ROOT", _bytes(docroot)
    if at_root or docroot is None or file is None:
        yield b"SCRIPT_NAME", b""
        yield b"PATH_INFO", _bytes(exchange.request.path)
        return
    top = docroot.rstrip("/")
    yield b"SCRIPT_NAME", _bytes(file.removeprefix(top))
    yield b"SCRIPT_FILENAME", _bytes(file)
    yield b"PATH_INFO", _bytes(exchange.path_info)
    if exchange.path_info:
        yield b"PATH_TRANSLATED", _bytes(top + exchange.path_info)


def _bytes(path: str) -> bytes:
    return path.encode("utf-8", "surrogateescape")


def _fields(request: RequestHead, trusted: bool) -> Iterator[Variable]:
    """Yield the fields that go on, the values of one name joined (section 4.1.18)."""
    values: dict[bytes, list[bytes]] = {}
    for name, value in request.fields:
        key = name.lower()
        if _passes(key, request.connection) and (trusted or not tells_of_client(key)):
            values.setdefault(key, []).append(value)
    if request.host:
        values[b"host"] = [request.host]  # an absolute target has another one than the field
    for key, each in values.items():
        joined = (b"; " if key == b"cookie" else b", ").join(each)
        yield b"HTTP_" + key.replace(b"-", b"_").upper(), joined


def _passes(key: bytes, connection: frozenset[bytes]) -> bool:
    if key in _NOT_PASSED or _PLAIN(key) is None:
        return False
    return key not in connection or key in PROTECTED or key.startswith(b"x-forwarded-")
