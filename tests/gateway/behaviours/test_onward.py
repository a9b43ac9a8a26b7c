"""What reaches the backend of a request that is good: strict HTTP/1.1, and nothing else."""

from __future__ import annotations

from ipaddress import ip_network
from typing import NamedTuple

import pytest

from mod_progress.gateway.backends.actions import Proxy
from mod_progress.gateway.backends.http import HttpBackend
from mod_progress.gateway.limits import Limits
from mod_progress.gateway.server.site import Site
from tests.gateway.fronts import Front
from tests.gateway.running import Gateway
from tests.gateway.wire import FEEDS

#: A body in one chunk, as the gateway writes it.
ABC = b"3\r\nabc\r\n0\r\n\r\n"

_TE = b"Transfer-Encoding: chunked"
_GET = [b"GET /x HTTP/1.1", b"Host: a"]


class Case(NamedTuple):
    """HTTP.md's row, a request, and what reaches the backend: its lines, and its body."""

    row: int
    sent: bytes
    lines: list[bytes]
    body: bytes = b""


def head(line: bytes, *fields: bytes) -> bytes:
    return b"\r\n".join([line, *fields, b"", b""])


def get(*fields: bytes) -> bytes:
    return head(b"GET /x HTTP/1.1", b"Host: a", *fields)


def kept(row: int, *fields: bytes) -> Case:
    """Fields that go on as they came."""
    return becoming(row, fields, *fields)


def becoming(row: int, fields: tuple[bytes, ...], *onward: bytes) -> Case:
    """Fields that go on as others."""
    return Case(row, get(*fields), [b"GET /x HTTP/1.1", *sorted([b"Host: a", *onward])])


def dropped(row: int, *fields: bytes) -> Case:
    """Fields that do not go on, beside one that does."""
    return becoming(row, (b"A: b", *fields), b"A: b")


def sized(row: int, *fields: bytes, body: bytes = b"abc") -> Case:
    """A body with a length."""
    lines = [b"POST /x HTTP/1.1", b"Content-Length: %d" % len(body), b"Host: a"]
    return Case(row, head(lines[0], b"Host: a", *fields) + body, lines, body)


def chunked(row: int, body: bytes, *fields: bytes, onward: bytes = ABC) -> Case:
    """A body in chunks; where its length is `ABC`'s, in the ones that it came in."""
    lines = [b"POST /x HTTP/1.1", b"Host: a", b"Transfer-Encoding: chunked"]
    fields = fields or (lines[2],)
    return Case(row, head(lines[0], b"Host: a", *fields) + body, lines, onward)


def host(name: bytes) -> Case:
    lines = [b"GET /x HTTP/1.1", b"Host: " + name]
    return Case(14, head(*lines), lines)


def absolute(method: bytes, url: bytes, name: bytes, onward: bytes) -> Case:
    sent = head(b"%b %b HTTP/1.1" % (method, url), b"Host: other")
    return Case(15, sent, [b"%b %b HTTP/1.1" % (method, onward), b"Host: " + name])


def target(row: int, method_and_target: bytes, version: bytes = b"HTTP/1.1") -> Case:
    sent = head(b"%b %b" % (method_and_target, version), b"Host: a")
    return Case(row, sent, [method_and_target + b" HTTP/1.1", b"Host: a"])


CASES = [
    # Lengths
    sized(2, b"Content-Length: 3"),
    sized(2, b"content-length:3 \t"),
    sized(2, b"Content-Length: 0003"),
    sized(2, b"Content-Length: 0", body=b""),
    target(2, b"POST /x"),
    Case(2, get(b"Content-Length: 1") + b"a", [*_GET[:1], b"Content-Length: 1", *_GET[1:]], b"a"),
    # Codings
    chunked(3, ABC, b"Transfer-Encoding: chunked"),
    chunked(3, ABC, b"Transfer-Encoding: Chunked"),
    chunked(3, ABC, b"TRANSFER-ENCODING:\tCHUNKED \t"),
    chunked(3, b"0\r\n\r\n", onward=b"0\r\n\r\n"),
    # Chunks, their extensions and trailers
    chunked(4, b"0003\r\nabc\r\n000\r\n\r\n"),
    chunked(4, b"0000000000000003\r\nabc\r\n0\r\n\r\n"),
    chunked(4, b"A\r\n0123456789\r\n0\r\n\r\n", onward=b"a\r\n0123456789\r\n0\r\n\r\n"),
    chunked(6, b"3;a\r\nabc\r\n0;b=c\r\n\r\n"),
    chunked(6, b'3;a="b\\"\\\\c;"\r\nabc\r\n0\r\n\r\n'),
    chunked(6, b"3 ; a = b ;c\r\nabc\r\n0\r\n\r\n"),
    chunked(7, b"3\r\nabc\r\n0\r\nA: b\r\nC:\r\n\r\n"),
    *(
        chunked(7, b"3\r\nabc\r\n0\r\n%b: 7\r\n\r\n" % name, _TE, b"Trailer: " + name)
        for name in b"Content-Length Transfer-Encoding Host Connection Trailer Upgrade".split()
    ),
    # Empty lines before a request
    Case(8, b"\r\n" + get(), _GET),
    Case(8, b"\r\n\r\n\r\n" + get(), _GET),
    # What a value may hold
    becoming(11, (b"X: \ta\tb \t",), b"X: a\tb"),
    becoming(11, (b"X:",), b"X: "),
    kept(11, b"X: \xe9\x80\xff"),
    kept(11, b'X: a:b, "c\\d" {e}'),
    # Names
    kept(12, b"!#$%&'*+-.^_`|~09AZaz: a"),
    kept(12, b"X_Y: a", b"X-Y: b"),
    kept(12, b"repeated: a", b"REPEATED: b"),
    # Just within the limits
    target(13, b"GET /" + b"a" * 8191),
    kept(13, *(b"X%02d: a" % number for number in range(99))),
    kept(13, b"X: " + b"a" * 32000),
    # Hosts
    *map(host, b"a a.b-c.d a:80 a: a_b %41b 127.0.0.1:8080 [::1] [2001:db8::1]:443".split()),
    # Absolute targets
    absolute(b"GET", b"http://b/y?z", b"b", b"/y?z"),
    absolute(b"GET", b"HTTP://b:81/y", b"b:81", b"/y"),
    absolute(b"GET", b"https://b/y", b"b", b"/y"),
    absolute(b"GET", b"http://[::1]:81/", b"[::1]:81", b"/"),
    absolute(b"GET", b"http://b", b"b", b"/"),
    absolute(b"GET", b"http://b?z", b"b", b"/?z"),
    absolute(b"OPTIONS", b"http://b", b"b", b"*"),
    absolute(b"OPTIONS", b"http://b/", b"b", b"/"),
    # Targets, which go on as they came
    target(16, b"OPTIONS *"),
    target(16, b"GET /"),
    target(16, b"GET //"),
    target(16, b"GET /a/../b//c/./d"),
    target(16, b"GET /%2e%2e/%zz?a=%"),
    target(16, b"GET /a?b?c=/d"),
    target(16, b"GET /!$&'()*+,;=:@~-._|{}[]^`"),
    target(16, b"TRACE /"),
    target(16, b"PROPFIND /x"),
    target(16, b"get /"),
    # Minor versions that nobody knows
    target(17, b"GET /x", b"HTTP/1.2"),
    target(17, b"GET /x", b"HTTP/1.9"),
    # Fields for this connection alone
    dropped(21, b"Connection: keep-alive"),
    dropped(21, b"Keep-Alive: timeout=5"),
    dropped(21, b"Proxy-Connection: keep-alive"),
    dropped(21, b"TE: trailers, deflate"),
    dropped(21, b"Trailer: A"),
    dropped(21, b"Upgrade: websocket"),
    dropped(21, b"HTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA"),
    dropped(21, b"Connection: X-A, x-b ,, X-C", b"X-A: 1", b"X-B: 2", b"x-a: 3"),
    dropped(21, b"Connection: X-A", b"Connection: X-B", b"X-A: 1", b"X-B: 2"),
    # What Connection cannot name away
    sized(22, b"Connection: Host, X-Forwarded-For, Content-Length", b"Content-Length: 3"),
    chunked(22, ABC, b"Connection: Host, Transfer-Encoding", _TE),
    # Protocols that are not switched to
    dropped(23, b"Connection: Upgrade, HTTP2-Settings", b"Upgrade: h2c", b"HTTP2-Settings: AAMA"),
    dropped(23, b"Connection: Upgrade", b"Upgrade: TLS/1.2"),
    sized(23, b"Connection: upgrade", b"Upgrade: websocket", b"Content-Length: 3"),
    becoming(
        23,
        (b"Connection: Upgrade", b"Upgrade: h2c, WebSocket"),
        b"Connection: upgrade",
        b"Upgrade: websocket",
    ),
]


@pytest.mark.parametrize("feed", FEEDS)
@pytest.mark.parametrize("case", CASES, ids=[f"{case.row}-{case.sent[:60]!r}" for case in CASES])
def test_a_good_request_goes_on(front: Front, case: Case, feed: str) -> None:
    _exchange(front, case.sent, feed)
    request = front.backend.requests[0]
    assert request.lines == case.lines
    if feed == "byte by byte" and _TE in case.lines:
        assert request.payload in case.body  # in as many chunks as there were reads
    else:
        assert request.body == case.body


@pytest.mark.parametrize(
    ("sent", "via"),
    [
        (get(), b"Via: 1.1 mod_progress"),
        (get(b"Via: 1.0 b, 1.1 c"), b"Via: 1.0 b, 1.1 c\r\nVia: 1.1 mod_progress"),
        (get(b"Connection: Via", b"Via: 1.0 b"), b"Via: 1.0 b\r\nVia: 1.1 mod_progress"),
        (head(b"GET /x HTTP/1.0"), b"Via: 1.0 mod_progress"),
    ],
)
def test_via_is_added(front: Front, sent: bytes, via: bytes) -> None:
    _exchange(front, sent)
    assert _fields(front, b"Via") == via.split(b"\r\n")


#: What a client says of itself in the words of a proxy.
_CLAIMS = (
    b"X-Forwarded-For: 1.2.3.4",
    b"x-forwarded-for: 5.6.7.8",
    b"X-Forwarded-Proto: https",
    b"X-Forwarded-Host: evil",
    b"X-Forwarded-Port: 1",
    b"X_Forwarded_For: 1.2.3.4",
    b"X-Real-IP: 1.2.3.4",
    b"X_Real_IP: 1.2.3.4",
    b"Forwarded: for=1.2.3.4",
)

_TOLD = [
    b'Forwarded: for=127.0.0.1;proto=http;host="a"',
    b"X-Forwarded-For: 127.0.0.1",
    b"X-Forwarded-Host: a",
    b"X-Forwarded-Proto: http",
    b"X-Real-IP: 127.0.0.1",
]


@pytest.mark.parametrize("feed", FEEDS)
@pytest.mark.parametrize(
    "claims",
    [(), _CLAIMS, (*_CLAIMS, b"Connection: X-Forwarded-For, X-Real-IP, Forwarded, x_real_ip")],
    ids=["none", "all", "named in Connection"],
)
def test_nobody_is_believed_who_is_not_trusted(
    front: Front, claims: tuple[bytes, ...], feed: str
) -> None:
    _exchange(front, get(*claims), feed)
    assert _fields(front, b"X-", b"X_", b"Forwarded") == _TOLD


def test_a_trusted_front_proxy_is_believed(front: Front) -> None:
    trusting = Gateway(
        Site(
            action=Proxy(HttpBackend(front.backend.address)),
            trusted=(ip_network("127.0.0.0/8"),),
            limits=Limits(drain_time=0.1),
        )
    )
    try:
        with Front(trusting, front.backend).connect() as client:
            aliases = (
                b"X_Forwarded_For: 6.6.6.6",
                b"X_Real_IP: 6.6.6.6",
                b"x_forwarded_host: evil",
            )
            client.send(get(*_CLAIMS[:5], *aliases, *_CLAIMS[6::2]))
            client.answer()
            client.send(get())
            client.answer()
            client.send(get(b"X-Forwarded-For: 6.6.6.6, 1.2.3.4, 127.0.0.2"))
            client.answer()
    finally:
        trusting.stop()
    assert _fields(front, b"X-", b"X_", b"x_", b"Forwarded") == [
        b'Forwarded: for=1.2.3.4, for=127.0.0.1;proto=http;host="a"',
        b"X-Forwarded-For: 1.2.3.4, 5.6.7.8, 127.0.0.1",
        b"X-Forwarded-Host: evil",
        b"X-Forwarded-Port: 1",
        b"X-Forwarded-Proto: https",
        b"X-Real-IP: 1.2.3.4",
    ]
    front.backend.requests.pop(0)
    assert _fields(front, b"X-", b"Forwarded") == _TOLD
    front.backend.requests.pop(0)
    assert _fields(front, b"X-Real") == [b"X-Real-IP: 1.2.3.4"]


def test_other_protocols_can_be_tunnelled(front: Front) -> None:
    site = Site(
        action=Proxy(HttpBackend(front.backend.address)),
        tunnelled=frozenset({b"irc/6.9"}),
        limits=Limits(drain_time=0.1),
    )
    other = Gateway(site)
    try:
        for offer in (b"IRC/6.9", b"websocket"):
            upgrade = get(b"Connection: upgrade", b"Upgrade: " + offer)
            _exchange(Front(other, front.backend), upgrade)
    finally:
        other.stop()
    first, second = front.backend.requests
    assert b"\r\nConnection: upgrade\r\nUpgrade: irc/6.9\r\n" in first.head
    assert b"pgrade" not in second.head


def test_a_client_that_names_no_host_has_used_our_address(front: Front) -> None:
    _exchange(front, b"GET /x HTTP/1.0\r\n\r\n")
    here = b"127.0.0.1:%d" % front.gateway.port
    assert _fields(front, b"Host", b"X-Forwarded-Host") == [
        b"Host: " + here,
        b"X-Forwarded-Host: " + here,
    ]


def _exchange(front: Front, sent: bytes, feed: str = "whole") -> None:
    """Have a request answered, and what trails it."""
    with front.connect() as client:
        client.send(sent, feed)
        assert client.answer().status == 200
        if feed == "with trailing data":
            assert client.answer().body == b"/trailing"


def _fields(front: Front, *prefixes: bytes) -> list[bytes]:
    """Return the lines of the first request that begin so, sorted."""
    lines = front.backend.requests[0].head.split(b"\r\n")[1:-2]
    return sorted(line for line in lines if line.startswith(prefixes))
