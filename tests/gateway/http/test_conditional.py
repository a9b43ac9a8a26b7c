from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mod_progress.gateway.http.conditional import Validators, parse_date, precondition, range_holds
from mod_progress.gateway.http.request import RequestHead, parse_request
from mod_progress.gateway.limits import HeadLimits

CURRENT = Validators(b'"now"', 1_000_000_000)
AT = "Sun, 09 Sep 2001 01:46:40 GMT"
BEFORE = "Sun, 09 Sep 2001 01:46:39 GMT"
AFTER = "Sunday, 09-Sep-01 01:46:41 GMT"


def request(*lines: str) -> RequestHead:
    head = "".join(f"{line}\r\n" for line in ("GET / HTTP/1.1", "Host: a", *lines, ""))
    return parse_request(head.encode("latin-1"), HeadLimits())


@pytest.mark.parametrize(
    ("lines", "status"),
    [
        ([], 200),
        (['If-Match: "now"'], 200),
        (['If-Match: "old", "now"'], 200),
        (['If-Match: "old"', 'If-Match: "now"'], 200),
        (["If-Match: *"], 200),
        (['If-Match: "old"'], 412),
        (['If-Match: W/"now"'], 412),
        (["If-Match: now"], 412),
        ([f"If-Unmodified-Since: {AT}"], 200),
        ([f"If-Unmodified-Since: {BEFORE}"], 412),
        (["If-Unmodified-Since: yesterday"], 200),
        (['If-Match: "now"', f"If-Unmodified-Since: {BEFORE}"], 200),
        (['If-None-Match: "now"'], 304),
        (['If-None-Match: W/"now"'], 304),
        (['If-None-Match: "a,b", W/"c","now"'], 304),
        (["If-None-Match: *"], 304),
        (['If-None-Match: "old"'], 200),
        (['If-None-Match: ""'], 200),
        ([f"If-Modified-Since: {AT}"], 304),
        ([f"If-Modified-Since: {AFTER}"], 304),
        (["If-Modified-Since: Sun Sep  9 01:46:40 2001"], 304),
        ([f"If-Modified-Since: {BEFORE}"], 200),
        (["If-Modified-Since: 0"], 200),
        (['If-None-Match: "old"', f"If-Modified-Since: {AT}"], 200),
        (['If-Match: "old"', 'If-None-Match: "now"'], 412),
        (['If-Match: "now"', 'If-None-Match: "now"'], 304),
        ([f"If-Unmodified-Since: {BEFORE}", 'If-None-Match: "now"'], 412),
    ],
)
def test_preconditions_have_an_order_of_precedence(lines: list[str], status: int) -> None:
    assert precondition(request(*lines), CURRENT) == status


@pytest.mark.parametrize(
    ("lines", "holds"),
    [
        ([], True),
        (['If-Range: "now"'], True),
        ([f"If-Range: {AT}"], True),
        (['If-Range: "old"'], False),
        (['If-Range: W/"now"'], False),
        ([f"If-Range: {BEFORE}"], False),
        ([f"If-Range: {AFTER}"], False),
    ],
)
def test_a_range_is_of_the_very_file_that_the_client_has(lines: list[str], holds: bool) -> None:
    assert range_holds(request(*lines), CURRENT) is holds


@given(
    st.binary(max_size=40)
    | st.from_regex(rb"[A-Z][a-z]{2}, [0-9]{1,6} [A-Z][a-z]{2} [0-9]{1,9} [0-9:]{0,12} [A-Z0-9+-]*")
)
def test_any_bytes_are_a_date_or_none(text: bytes) -> None:
    assert isinstance(parse_date(text), int | None)
