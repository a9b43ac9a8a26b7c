"""What is refused, and with which status: nothing of it may reach the backend."""

from __future__ import annotations

import pytest

from tests.gateway.fronts import Front
from tests.gateway.wire import FEEDS

_HOST = b"Host: a\r\n"


def head(*lines: bytes, line: bytes = b"POST /x HTTP/1.1") -> bytes:
    return b"\r\n".join([line, b"Host: a", *lines, b"", b""])


def get(line: bytes, fields: bytes = _HOST) -> bytes:
    return line + b"\r\n" + fields + b"\r\n"


#: HTTP.md's row, the request, the status.
HEADS = [
    # 1: Transfer-Encoding together with Content-Length
    (1, head(b"Transfer-Encoding: chunked", b"Content-Length: 3") + b"0\r\n\r\n", 400),
    (1, head(b"Content-Length: 3", b"Transfer-Encoding: chunked") + b"abc", 400),
    (1, head(b"Content-Length: 0", b"transfer-encoding: chunked") + b"0\r\n\r\n", 400),
    (1, head(b"Content-Length: 3", b"Transfer-Encoding: gzip") + b"abc", 400),
    (1, head(b"Content-Length: 3", b"Transfer-Encoding: identity") + b"abc", 400),
    # 2: Content-Length
    (2, head(b"Content-Length: 3", b"Content-Length: 3") + b"abc", 400),
    (2, head(b"Content-Length: 3", b"Content-Length: 4") + b"abc", 400),
    (2, head(b"Content-Length: 3", b"CONTENT-LENGTH: 3") + b"abc", 400),
    (2, head(b"Content-Length: 3, 3") + b"abc", 400),
    (2, head(b"Content-Length: 3,4") + b"abc", 400),
    (2, head(b"Content-Length: 3,") + b"abc", 400),
    (2, head(b"Content-Length: +3") + b"abc", 400),
    (2, head(b"Content-Length: -3") + b"abc", 400),
    (2, head(b"Content-Length: -0"), 400),
    (2, head(b"Content-Length: 0x3") + b"abc", 400),
    (2, head(b"Content-Length: 3h") + b"abc", 400),
    (2, head(b"Content-Length: a") + b"abcdefghij", 400),
    (2, head(b"Content-Length: 3 ;") + b"abc", 400),
    (2, head(b"Content-Length: 1 2") + b"abc", 400),
    (2, head(b"Content-Length: 1_0") + b"abcdefghij", 400),
    (2, head(b"Content-Length: 3.0") + b"abc", 400),
    (2, head(b"Content-Length: 3e0") + b"abc", 400),
    (2, head(b'Content-Length: "3"') + b"abc", 400),
    (2, head(b"Content-Length: "), 400),
    (2, head(b"Content-Length:"), 400),
    (2, head(b"Content-Length: 18446744073709551619") + b"abc", 400),
    (2, head(b"Content-Length: 9223372036854775808") + b"abc", 400),
    (2, head(b"Content-Length: 0000000000000000000003") + b"abc", 400),
    (2, head("Content-Length: ٣".encode()) + b"abc", 400),
    (2, head(b"Content-Length: \xb23") + b"abc", 400),
    # 3: Transfer-Encoding
    (3, head(b"Transfer-Encoding: gzip, chunked") + b"0\r\n\r\n", 501),
    (3, head(b"Transfer-Encoding: gzip") + b"0\r\n\r\n", 400),
    (3, head(b"Transfer-Encoding: identity") + b"0\r\n\r\n", 400),
    (3, head(b"Transfer-Encoding: chunked, identity") + b"0\r\n\r\n", 400),
    (3, head(b"Transfer-Encoding: xchunked") + b"0\r\n\r\n", 400),
    (3, head(b"Transfer-Encoding: chunkedx") + b"0\r\n\r\n", 400),
    (3, head(b"Transfer-Encoding: chunked", b"Transfer-Encoding: gzip") + b"0\r\n\r\n", 400),
    (3, head(b"Transfer-Encoding: gzip", b"Transfer-Encoding: chunked") + b"0\r\n\r\n", 501),
    (3, head(b"Transfer-Encoding: chunked, gzip, chunked") + b"0\r\n\r\n", 400),
    (3, head(b"Transfer-Encoding: gz ip, chunked") + b"0\r\n\r\n", 400),
    (3, head(b"Transfer-Encoding: chunked, chunked") + b"0\r\n\r\n", 400),
    (3, head(b"Transfer-Encoding: chunked", b"Transfer-Encoding: chunked") + b"0\r\n\r\n", 400),
    (3, head(b"Transfer-Encoding: chunked,") + b"0\r\n\r\n", 400),
    (3, head(b"Transfer-Encoding: ,chunked") + b"0\r\n\r\n", 400),
    (3, head(b"Transfer-Encoding: chunked;q=1") + b"0\r\n\r\n", 400),
    (3, head(b'Transfer-Encoding: "chunked"') + b"0\r\n\r\n", 400),
    (3, head(b"Transfer-Encoding: chu nked") + b"0\r\n\r\n", 400),
    (3, head(b"Transfer-Encoding: chunked\x80") + b"0\r\n\r\n", 400),
    (3, head(b"Transfer-Encoding: ") + b"0\r\n\r\n", 400),
    (3, head(b"Transfer-Encoding: \x0bchunked") + b"0\r\n\r\n", 400),
    (3, head(b"Transfer-Encoding: chunked", line=b"POST /x HTTP/1.0") + b"0\r\n\r\n", 400),
    # 8: line ends
    (8, b"GET /x HTTP/1.1\nHost: a\n\n", 400),
    (8, b"GET /x HTTP/1.1\r\nHost: a\n\r\n", 400),
    (8, b"GET /x HTTP/1.1\nHost: a\r\n\r\n", 400),
    (8, b"GET /x HTTP/1.1\r\nHost: a\r\n\n", 400),
    (8, b"GET /x HTTP/1.1\r\nHost: a\n\nGET /y HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    (8, b"GET /x HTTP/1.1\rHost: a\r\r", 400),
    (8, b"GET /x HTTP/1.1\r\nHost: a\rX: b\r\n\r\n", 400),
    (8, b"GET /x HTTP/1.1\r\nHost: a\r\n\rX: b\r\n\r\n", 400),
    (8, b"GET /x HTTP/1.1\r\nHost: a\r\r\n\r\n", 400),
    (8, b"GET /x\r HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    (8, b"\nGET /x HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    (8, b"\r\rGET /x HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    # 9: obs-fold
    (9, head(b"X: a", b" b"), 400),
    (9, head(b"X: a", b"\tb"), 400),
    (9, head(b"Content-Length: 3", b" 4") + b"abc", 400),
    (9, head(b"Transfer-Encoding:", b" chunked") + b"0\r\n\r\n", 400),
    (9, head(b"X: a", b" ", b"Y: b"), 400),
    # 10: space around the name
    (10, head(b"X : a"), 400),
    (10, head(b"X\t: a"), 400),
    (10, head(b"Content-Length : 3") + b"abc", 400),
    (10, head(b"Transfer-Encoding : chunked") + b"0\r\n\r\n", 400),
    (10, b"GET /x HTTP/1.1\r\nHost : a\r\n\r\n", 400),
    (10, b"GET /x HTTP/1.1\r\n Host: a\r\n\r\n", 400),
    (10, b"GET /x HTTP/1.1\r\n\tX: b\r\nHost: a\r\n\r\n", 400),
    (10, b"GET /x HTTP/1.1\r\n \r\nHost: a\r\n\r\n", 400),
    # 11: control characters in a value
    *((11, head(b"X: a" + bytes([c]) + b"b"), 400) for c in (*range(9), *range(0xB, 0x20), 0x7F)),
    (11, head(b"X: \x00"), 400),
    (11, head(b"X: a\x00"), 400),
    (11, head(b"Content-Length: 3\x00") + b"abc", 400),
    # 12: field names
    (12, head(b": a"), 400),
    (12, head(b"X"), 400),
    (12, head(b"X a"), 400),
    *((12, head(b"X" + bytes([c]) + b"Y: a"), 400) for c in b'"(),/;<=>?@[\\]{} \x01\x80\xff'),
    (12, head(b"Content_Length: 3") + b"abc", 400),
    (12, head(b"Content_Length: 3", b"Content-Length: 3") + b"abc", 400),
    (12, head(b"transfer_encoding: chunked") + b"0\r\n\r\n", 400),
    # 13: sizes
    (13, get(b"GET /" + b"a" * 8192 + b" HTTP/1.1"), 414),
    (13, get(b"GET /" + b"a" * 20000 + b" HTTP/1.1"), 414),
    (13, get(b"GET /?" + b"a" * 50000 + b" HTTP/1.1"), 414),
    (13, get(b"GET http://a/" + b"a" * 9000 + b" HTTP/1.1"), 414),
    (13, head(b"X: " + b"a" * 33000), 431),
    (13, head(b"a" * 33000 + b": b"), 431),
    (13, head(*(b"X%d: a" % n for n in range(100))), 431),
    (13, head(*(b"X: " + b"a" * 1000 for _ in range(40))), 431),
    # 14: Host
    (14, b"GET /x HTTP/1.1\r\n\r\n", 400),
    (14, b"GET /x HTTP/1.1\r\nX: a\r\n\r\n", 400),
    (14, b"GET http://a/x HTTP/1.1\r\n\r\n", 400),
    (14, b"GET /x HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n", 400),
    (14, b"GET /x HTTP/1.1\r\nHost: a\r\nhOST: b\r\n\r\n", 400),
    (14, b"GET /x HTTP/1.0\r\nHost: a\r\nHost: b\r\n\r\n", 400),
    *(
        (14, b"GET /x HTTP/1.1\r\nHost: %b\r\n\r\n" % host, 400)
        for host in (
            b"",
            b"u@a",
            b"u:p@a",
            b"a b",
            b"a/",
            b"a/b",
            b"a?b",
            b"a#b",
            b"a\\b",
            b"http://a",
            b"a:b",
            b"a:80:80",
            b"a:-1",
            b"a:123456",
            b":80",
            b"[::1",
            b"::1",
            b"[::1]a",
            b"[a]",
            b"[::g]",
            b"[:::]",
            b"[fe80::1%eth0]",
            b"a\x80",
            b"a%",
            b"a%4",
            b"a%zz",
            b"a\tb",
            b'a"',
            b"<a>",
            b"a|b",
        )
    ),
    # 15: absolute-form
    (15, get(b"GET http:///x HTTP/1.1"), 400),
    (15, get(b"GET http://u@a/x HTTP/1.1"), 400),
    (15, get(b"GET http://u:p@a/x HTTP/1.1"), 400),
    (15, get(b"GET http://a:b/x HTTP/1.1"), 400),
    (15, get(b"GET http://[a/x HTTP/1.1"), 400),
    (15, get(b"GET http:/a/x HTTP/1.1"), 400),
    (15, get(b"GET ftp://a/x HTTP/1.1"), 400),
    (15, get(b"GET http://a/x HTTP/1.1", b"Host: b\r\nHost: b\r\n"), 400),
    (15, get(b"GET http://a/x HTTP/1.1", b"Host: b c\r\n"), 400),
    # 16: the request target
    (16, get(b"CONNECT a:443 HTTP/1.1", b"Host: a:443\r\n"), 405),
    (16, get(b"CONNECT /x HTTP/1.1"), 405),
    (16, get(b"GET * HTTP/1.1"), 400),
    (16, get(b"OPTIONS ** HTTP/1.1"), 400),
    (16, get(b"GET x HTTP/1.1"), 400),
    (16, get(b"GET a:80 HTTP/1.1"), 400),
    (16, get(b"GET ?x HTTP/1.1"), 400),
    (16, get("GET /é HTTP/1.1".encode()), 400),
    (16, get(b"GET /\x80 HTTP/1.1"), 400),
    (16, get(b"GET /x?\xff HTTP/1.1"), 400),
    (16, get(b"GET /x#y HTTP/1.1"), 400),
    *((16, get(b"GET /x%by HTTP/1.1" % each), 400) for each in (b'"', b"<", b">", b"\\")),
    *((16, get(b"GET /x?y%bz HTTP/1.1" % each), 400) for each in (b'"', b"<", b">", b"\\")),
    (16, get(b"GET # HTTP/1.1"), 400),
    (16, get(b"GET /x y HTTP/1.1"), 400),
    (16, get(b"GET /x\ty HTTP/1.1"), 400),
    (16, get(b"GET /x\x00y HTTP/1.1"), 400),
    (16, get(b"GET /x\x7fy HTTP/1.1"), 400),
    (16, get(b"GET /%00 HTTP/1.1"), 400),
    (16, get(b"GET  /x HTTP/1.1"), 400),
    (16, get(b"GET /x  HTTP/1.1"), 400),
    (16, get(b"GET\t/x HTTP/1.1"), 400),
    (16, get(b" GET /x HTTP/1.1"), 400),
    (16, get(b"GET /x HTTP/1.1 "), 400),
    (16, get(b"G(T /x HTTP/1.1"), 400),
    (16, get(b"G\x80T /x HTTP/1.1"), 400),
    (16, get(b"M" * 33 + b" /x HTTP/1.1"), 400),
    # 17: the version
    (17, b"GET /x\r\n\r\n", 400),
    (17, b"GET /x\r\nHost: a\r\n\r\n", 400),
    (17, get(b"GET /x HTTP/0.9"), 505),
    (17, get(b"GET /x HTTP/2.0"), 505),
    (17, get(b"GET /x HTTP/9.9"), 505),
    (17, b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505),
    (17, get(b"GET /x HTTP/1"), 400),
    (17, get(b"GET /x HTTP/1."), 400),
    (17, get(b"GET /x HTTP/1.10"), 400),
    (17, get(b"GET /x HTTP/11.1"), 400),
    (17, get(b"GET /x HTTP/1.a"), 400),
    (17, get(b"GET /x HTTP/+1.1"), 400),
    (17, get(b"GET /x http/1.1"), 400),
    (17, get(b"GET /x HTTPS/1.1"), 400),
    (17, get(b"GET /x HTTP 1.1"), 400),
    # 18: expectations
    (18, head(b"Content-Length: 3", b"Expect: 200-ok"), 417),
    (18, head(b"Content-Length: 3", b"Expect: 100-continue, x"), 417),
    (18, head(b"Content-Length: 3", b"Expect: 100-continue", b"Expect: x"), 417),
    (18, head(b"Content-Length: 3", b"Expect: "), 417),
    (18, head(b"Content-Length: 3", b"Content-Length: 3", b"Expect: 100-continue"), 400),
    (18, head(b"Content-Length: 99999999999999", b"Expect: 100-continue"), 413),
]

#: A chunked body that is not one, after a head that is.
CHUNKS = [
    # 4: sizes
    (4, b"0x3\r\nabc\r\n0\r\n\r\n"),
    (4, b"0X3\r\nabc\r\n0\r\n\r\n"),
    (4, b"1_0\r\n0123456789abcdef\r\n0\r\n\r\n"),
    (4, b"+3\r\nabc\r\n0\r\n\r\n"),
    (4, b"-3\r\nabc\r\n0\r\n\r\n"),
    (4, b" 3\r\nabc\r\n0\r\n\r\n"),
    (4, b"3 \r\nabc\r\n0\r\n\r\n"),
    (4, b"\t3\r\nabc\r\n0\r\n\r\n"),
    (4, b"1 0\r\n0123456789abcdef\r\n0\r\n\r\n"),
    (4, b"g\r\nabc\r\n0\r\n\r\n"),
    (4, b"3h\r\nabc\r\n0\r\n\r\n"),
    (4, b"\r\nabc\r\n0\r\n\r\n"),
    (4, b";a\r\nabc\r\n0\r\n\r\n"),
    (4, b"10000000000000003\r\nabc\r\n0\r\n\r\n"),
    (4, b"00000000000000003\r\nabc\r\n0\r\n\r\n"),
    (4, b"ffffffffffffffff\r\nabc\r\n0\r\n\r\n"),
    (4, b"8000000000000000\r\nabc\r\n0\r\n\r\n"),
    (4, b"3\x00\r\nabc\r\n0\r\n\r\n"),
    (4, "٣\r\nabc\r\n0\r\n\r\n".encode()),
    (4, b"3,3\r\nabc\r\n0\r\n\r\n"),
    # 5: the data and the line ends
    (5, b"3\r\nabcd\r\n0\r\n\r\n"),
    (5, b"3\r\nabc0\r\n\r\n"),
    (5, b"3\r\nabc\n0\r\n\r\n"),
    (5, b"3\r\nabc\r0\r\n\r\n"),
    (5, b"3\r\nabc\r\r\n0\r\n\r\n"),
    (5, b"3\nabc\r\n0\r\n\r\n"),
    (5, b"3\rabc\r\n0\r\n\r\n"),
    (5, b"3;a\nabc\r\n0\r\n\r\n"),
    (5, b'3;a="\n"\r\nabc\r\n0\r\n\r\n'),
    (5, b"3\r\nabc\r\n0\n\r\n"),
    (5, b"3\r\nabc\r\n0\n\n"),
    (5, b"3\r\nabc\r\n0\r\n\n"),
    (5, b"3\r\nabc\r\n0\r\nA: b\n\r\n"),
    (5, b"3\r\nabc\r\n0\r\n\rX\n"),
    # 6: extensions
    (6, b"3;\r\nabc\r\n0\r\n\r\n"),
    (6, b"3;;\r\nabc\r\n0\r\n\r\n"),
    (6, b"3;=\r\nabc\r\n0\r\n\r\n"),
    (6, b"3;a=\r\nabc\r\n0\r\n\r\n"),
    (6, b'3;a="b\r\nabc\r\n0\r\n\r\n'),
    (6, b"3;a\x00\r\nabc\r\n0\r\n\r\n"),
    (6, b"3;a\x01b\r\nabc\r\n0\r\n\r\n"),
    (6, b'3;a="\x7f"\r\nabc\r\n0\r\n\r\n'),
    (6, b"3;a\rb\r\nabc\r\n0\r\n\r\n"),
    (6, b"3;a b\r\nabc\r\n0\r\n\r\n"),
    (6, b"3;" + b"a" * 5000 + b"\r\nabc\r\n0\r\n\r\n"),
    (6, b"1;%b\r\na\r\n" % (b"a" * 2000) * 10 + b"0\r\n\r\n"),
    # 7: trailers
    (7, b"0\r\nA\r\n\r\n"),
    (7, b"0\r\n: a\r\n\r\n"),
    (7, b"0\r\nA : b\r\n\r\n"),
    (7, b"0\r\nA: b\r\n c\r\n\r\n"),
    (7, b"0\r\nA: \x00\r\n\r\n"),
    (7, b"0\r\n" + b"A: b\r\n" * 9000 + b"\r\n"),
]


def names(rows: list[tuple[int, bytes]] | list[tuple[int, bytes, int]]) -> list[str]:
    """Name each case by its row and its first bytes."""
    return [f"{row[0]}-{row[1][:60]!r}" for row in rows]


@pytest.mark.parametrize("feed", FEEDS)
@pytest.mark.parametrize(("_row", "request_", "status"), HEADS, ids=names(HEADS))
def test_a_bad_head_is_refused(
    front: Front, _row: int, request_: bytes, status: int, feed: str
) -> None:
    with front.connect() as client:
        client.send(request_, feed)
        answer = client.answer()
        assert answer.status == status
        assert answer["Connection"] == b"close"
        assert client.rest() == b""
        assert client.ending == "end"
    assert front.backend.raw == b""


@pytest.mark.parametrize("feed", FEEDS)
@pytest.mark.parametrize(("_row", "body"), CHUNKS, ids=names(CHUNKS))
def test_a_bad_chunk_is_refused_and_the_request_cut(
    front: Front, _row: int, body: bytes, feed: str
) -> None:
    with front.connect() as client:
        client.send(head(b"Transfer-Encoding: chunked") + body, feed)
        answer = client.answer()
        assert answer.status == 400
        assert answer["Connection"] == b"close"
        assert client.rest() == b""
        assert client.ending == "end"
    received = front.backend.raw
    assert b"/trailing" not in received
    assert not received.endswith(b"0\r\n\r\n")
    assert front.backend.requests == []
