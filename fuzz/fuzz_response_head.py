"""A response's head is refused with 502, or it says the same when it is written again."""

from __future__ import annotations

from fuzz_request_head import fields
from hypothesis import given
from hypothesis import strategies as st

from mod_progress.gateway.http.heads import Refusal, response_head
from mod_progress.gateway.http.response import (
    ResponseHead,
    check_incomplete_response,
    parse_response,
)
from mod_progress.gateway.limits import HeadLimits

LIMITS = HeadLimits()


@st.composite
def responses(draw: st.DrawFn) -> bytes:
    """A head that may well be good."""
    line = b"HTTP/1.%d %d x" % (draw(st.integers(0, 2)), draw(st.integers(90, 610)))
    return b"\r\n".join([line, *draw(st.lists(fields, max_size=6)), b"", b""])


@st.composite
def damaged(draw: st.DrawFn) -> bytes:
    """A head with a few bytes put in, taken out or changed."""
    head = draw(responses())
    for _ in range(draw(st.integers(0, 3))):
        at = draw(st.integers(0, len(head)))
        new = draw(st.sampled_from([b"", b"\r", b"\n", b" ", b":", b"\0", b"0", b"\xff"]))
        head = head[:at] + new + head[at + draw(st.integers(0, 1)) :]
    return head


def outcome(head: bytes) -> ResponseHead | int:
    """Parse a head; the status where it is refused."""
    try:
        return parse_response(head, LIMITS)
    except Refusal as refusal:
        return refusal.status


@given(st.one_of(damaged(), st.binary()))
def test_it_says_the_same_again(head: bytes) -> None:
    response = outcome(head)
    if isinstance(response, int):
        assert response == 502
        return
    lines = [b"%b: %b\r\n" % field for field in response.fields]
    again = outcome(response_head(response.status, lines))
    if response.minor or not response.chunked:
        assert isinstance(again, ResponseHead)
        assert (again.status, again.fields) == (response.status, response.fields)
        assert (again.chunked, again.content_length) == (response.chunked, response.content_length)


@given(responses())
def test_no_part_of_a_good_head_is_refused_early(head: bytes) -> None:
    if isinstance(outcome(head), ResponseHead):
        for end in range(len(head)):
            check_incomplete_response(head[:end], max(0, end - 4), LIMITS)
