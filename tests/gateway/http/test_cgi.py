"""The head of a CGI response: what it says, and what is refused."""

from __future__ import annotations

import pytest

from mod_progress.gateway.http.cgi import end_of_cgi_head, parse_cgi_response
from mod_progress.gateway.http.heads import Refusal
from mod_progress.gateway.limits import HeadLimits

LIMITS = HeadLimits()
TYPE = b"Content-Type: text/plain"
FIELD = (b"Content-Type", b"text/plain")

HEADS = [
    pytest.param([TYPE], 200, (FIELD,), id="a field"),
    pytest.param([b"Status: 404 Not Found", TYPE], 404, (FIELD,), id="a status first"),
    pytest.param([TYPE, b"status:404"], 404, (FIELD,), id="a status last"),
    pytest.param([b"Status: 200"], 200, (), id="a status alone"),
    pytest.param([b"Status: 103 Early Hints"], 103, (), id="an interim status"),
    pytest.param([b"Status: 599 "], 599, (), id="a status without a phrase"),
    pytest.param(
        [b"Location: http://a/b"], 302, ((b"Location", b"http://a/b"),), id="a redirect elsewhere"
    ),
    pytest.param([b"Location: /b?c"], 302, ((b"Location", b"/b?c"),), id="a redirect here"),
    pytest.param(
        [b"Location: /b", b"Status: 201 Created"], 201, ((b"Location", b"/b"),), id="created"
    ),
    pytest.param([b"HTTP/1.1 404 Not Found", TYPE], 404, (FIELD,), id="a status line"),
    pytest.param([b"HTTP/1.0 204"], 204, (), id="a status line alone"),
    pytest.param([b"HTTP/1.1 200 OK", b"Status: 500"], 500, (), id="both"),
    pytest.param([b"A:", b"B: \t c \t"], 200, ((b"A", b""), (b"B", b"c")), id="spaces"),
    pytest.param([b"A: b", b"A: c"], 200, ((b"A", b"b"), (b"A", b"c")), id="a repeated field"),
]


@pytest.mark.parametrize("line_end", [b"\n", b"\r\n"], ids=["LF", "CRLF"])
@pytest.mark.parametrize(("lines", "status", "fields"), HEADS)
def test_a_head(
    lines: list[bytes], status: int, fields: tuple[tuple[bytes, bytes], ...], line_end: bytes
) -> None:
    head = line_end.join([*lines, b"", b""])
    response = parse_cgi_response(head, LIMITS)
    assert (response.status, response.fields) == (status, fields)
    for cut in range(len(head)):
        assert end_of_cgi_head(head[:cut], max(0, cut - 3), LIMITS) == 0
    assert end_of_cgi_head(head, len(head) - 3, LIMITS) == len(head)
    assert end_of_cgi_head(head + b"\n\nbody\n\n", 0, LIMITS) == len(head)


def test_line_ends_may_be_mixed() -> None:
    head = b"A: b\nC: d\r\n\nbody"
    end = end_of_cgi_head(head, 0, LIMITS)
    assert head[end:] == b"body"
    assert parse_cgi_response(head[:end], LIMITS).fields == ((b"A", b"b"), (b"C", b"d"))


def test_a_length_is_read() -> None:
    assert parse_cgi_response(b"Content-Length: 12\n\n", LIMITS).content_length == 12


@pytest.mark.parametrize(
    "head",
    [
        b"\n",
        b"\r\n",
        b"no field\n\n",
        b": b\n\n",
        b"A : b\n\n",
        b"A: b\n c\n\n",
        b"A: b\0\n\n",
        b"A: b\rC: d\n\n",
        b"Status: 99\n\n",
        b"Status: 1000\n\n",
        b"Status: OK\n\n",
        b"HTTP/2 200 OK\n\n",
        b"HTTP/1.1 600 No\n\n",
        b"A: b\nHTTP/1.1 200 OK\n\n",
        b"Content-Length: x\n\n",
        b"Content-Length: 1\nContent-Length: 2\n\n",
        b"Transfer-Encoding: chunked\n\n",
        b"A: b\n" * 101 + b"\n",
        b"A: %b\n\n" % (b"a" * 2000) * 2,
    ],
)
def test_what_is_no_head(head: bytes) -> None:
    with pytest.raises(Refusal, match="502"):
        parse_cgi_response(head, LIMITS)


def test_a_head_has_a_bound() -> None:
    limits = HeadLimits(size=100)
    within = b"A: %b\n\n" % (b"a" * 95)
    assert end_of_cgi_head(within, 0, limits) == 100
    assert end_of_cgi_head(within[:-1], 0, limits) == 0
    for beyond in (b"A: %b\n\n" % (b"a" * 96), b"A" * 101):
        with pytest.raises(Refusal, match="too large"):
            end_of_cgi_head(beyond, 0, limits)
