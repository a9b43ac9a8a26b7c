"""The head of a CGI response is refused with 502, or it says the same with the other line ends."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from mod_progress.gateway.http.cgi import end_of_cgi_head, parse_cgi_response
from mod_progress.gateway.http.heads import Refusal
from mod_progress.gateway.http.response import ResponseHead
from mod_progress.gateway.limits import HeadLimits

LIMITS = HeadLimits()

lines = st.sampled_from(
    [b"A: b", b"Status: 404 x", b"Location: /c", b"Content-Length: 3", b"HTTP/1.1 200 OK", b"D:"]
)


@st.composite
def heads(draw: st.DrawFn) -> bytes:
    """A head that may well be good, with a few bytes put in, taken out or changed."""
    head = draw(st.sampled_from([b"\n", b"\r\n"])).join([*draw(st.lists(lines)), b"", b""])
    for _ in range(draw(st.integers(0, 3))):
        at = draw(st.integers(0, len(head)))
        new = draw(st.sampled_from([b"", b"\r", b"\n", b" ", b":", b"\0", b"0", b"\xff"]))
        head = head[:at] + new + head[at + draw(st.integers(0, 1)) :]
    return head


def outcome(head: bytes) -> ResponseHead | int:
    """Parse a head; the status where it is refused."""
    try:
        return parse_cgi_response(head, LIMITS)
    except Refusal as refusal:
        return refusal.status


@given(st.one_of(heads(), st.binary()), st.binary(max_size=9))
def test_its_end_is_found_wherever_the_search_begins(data: bytes, after: bytes) -> None:
    end = end_of_cgi_head(data + after, 0, LIMITS)
    for cut in range(len(data)):
        if not end_of_cgi_head(data[:cut], 0, LIMITS):
            assert end_of_cgi_head(data + after, max(0, cut - 2), LIMITS) == end


@given(st.one_of(heads(), st.binary()))
def test_it_says_the_same_with_other_line_ends(data: bytes) -> None:
    end = end_of_cgi_head(data, 0, LIMITS)
    head = data[:end]
    response = outcome(head)
    if isinstance(response, int):
        assert response == 502
        return
    for other in (head.replace(b"\r\n", b"\n"), head.replace(b"\r", b"").replace(b"\n", b"\r\n")):
        again = outcome(other)
        assert isinstance(again, ResponseHead)
        assert (again.status, again.fields) == (response.status, response.fields)
