"""A request's head is refused, or it means the same to llhttp: as it came, and as it goes on."""

from __future__ import annotations

from contextlib import suppress

import httptools
from hypothesis import given
from hypothesis import strategies as st

from mod_progress.gateway.backends.forwarding import end_to_end
from mod_progress.gateway.http.heads import Refusal, request_head
from mod_progress.gateway.http.request import RequestHead, check_incomplete, parse_request
from mod_progress.gateway.limits import HeadLimits

LIMITS = HeadLimits()

#: Methods that llhttp knows: it takes no others.
METHODS = ("GET", "POST", "HEAD", "OPTIONS", "PUT")

_TOKEN = "!#$%&'*+-.^_`|~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
names = st.text(_TOKEN, min_size=1, max_size=12).map(str.encode)
values = st.binary(max_size=20).map(
    lambda raw: bytes(c for c in raw if c == 9 or (c >= 32 and c != 127)).strip(b" \t")
)
targets = st.one_of(
    st.sampled_from([b"*", b"http://b/c?d", b"http://[::1]:80", b"https://b?c"]),
    st.binary(max_size=20).map(
        lambda raw: b"/" + bytes(c for c in raw if 33 <= c < 127 and c != 35)
    ),
)
#: Fields that mean something to the gateway itself: chance would hardly find them.
special = st.sampled_from(
    (
        b"Connection: close",
        b"connection: keep-alive, X-A",
        b"Content-Length: 0",
        b"Content-Length: 12",
        b"Transfer-Encoding: chunked",
        b"Upgrade: websocket",
        b"Expect: 100-continue",
        b"Host: b",
        b"X-A: 1",
    )
)
fields = st.one_of(special, st.builds(b"%b: %b".__mod__, st.tuples(names, values)))


@st.composite
def requests(draw: st.DrawFn) -> bytes:
    """A head that may well be good."""
    method = draw(st.sampled_from(METHODS)).encode()
    version = draw(st.sampled_from([b"1.0", b"1.1", b"1.1", b"1.1"]))
    line = b"%b %b HTTP/%b" % (method, draw(targets), version)
    return b"\r\n".join([line, b"Host: a", *draw(st.lists(fields, max_size=6)), b"", b""])


@st.composite
def damaged(draw: st.DrawFn) -> bytes:
    """A head with a few bytes put in, taken out or changed."""
    head = draw(requests())
    for _ in range(draw(st.integers(0, 3))):
        at = draw(st.integers(0, len(head)))
        new = draw(st.sampled_from([b"", b"\r", b"\n", b"\r\n", b" ", b":", b"\0", b"\t", b"\x80"]))
        head = head[:at] + new + head[at + draw(st.integers(0, 1)) :]
    return head


class Seen:
    """What llhttp makes of a head."""

    def __init__(self, head: bytes) -> None:
        self.target = b""
        self.fields: list[tuple[bytes, bytes]] = []
        self.complete = False
        parser = httptools.HttpRequestParser(self)
        with suppress(httptools.HttpParserUpgrade):
            parser.feed_data(head)
        self.method = parser.get_method().decode()

    def on_url(self, url: bytes) -> None:
        self.target += url

    def on_header(self, name: bytes, value: bytes) -> None:
        self.fields.append((name, value.rstrip(b" \t")))

    def on_headers_complete(self) -> None:
        self.complete = True


def accepted(head: bytes) -> RequestHead | None:
    """Parse a head; None where it is refused."""
    with suppress(Refusal):
        return parse_request(head, LIMITS)
    return None


@given(st.one_of(damaged(), st.binary()))
def test_as_it_came(head: bytes) -> None:
    request = accepted(head)
    if request is not None and request.method in METHODS:
        seen = Seen(head)
        assert seen.complete
        assert seen.method == request.method
        assert seen.target == head.split(b" ")[1]
        assert seen.fields == list(request.fields)


@given(damaged())
def test_as_it_goes_on(head: bytes) -> None:
    request = accepted(head)
    if request is not None and request.method in METHODS:
        lines = [line for _, line in end_to_end(request.fields, request.connection)]
        seen = Seen(request_head(request.method, request.target, lines))
        assert seen.complete
        assert seen.method == request.method
        assert seen.target == request.target
        assert [b"%b: %b\r\n" % field for field in seen.fields] == lines


@given(requests())
def test_no_part_of_a_good_head_is_refused_early(head: bytes) -> None:
    if accepted(head) is not None:
        scanned = 0
        for end in range(1, len(head)):
            check_incomplete(head[:end], scanned, LIMITS)
            scanned = max(0, end - 3)
