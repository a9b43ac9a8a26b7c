from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mod_progress.gateway.http.edits import (
    Edit,
    Operation,
    edit_fields,
    edit_lines,
    field_value,
    has_control,
    is_editable,
    is_name,
)
from mod_progress.gateway.http.heads import FORBIDDEN

ADD, APPEND, OVERWRITE, REMOVE = Operation

BEFORE = b"A: 1\r\nB: 2\r\na: 3\r\nEmpty: \r\n"


@pytest.mark.parametrize(
    ("edits", "after"),
    [
        ([], BEFORE),
        ([Edit(ADD, b"A", b"4")], BEFORE + b"A: 4\r\n"),
        ([Edit(ADD, b"C", b"4"), Edit(ADD, b"C", b"5")], BEFORE + b"C: 4\r\nC: 5\r\n"),
        ([Edit(APPEND, b"A", b"4")], b"A: 1\r\nB: 2\r\na: 3, 4\r\nEmpty: \r\n"),
        ([Edit(APPEND, b"C", b"4")], BEFORE + b"C: 4\r\n"),
        ([Edit(APPEND, b"empty", b"4")], b"A: 1\r\nB: 2\r\na: 3\r\nEmpty: 4\r\n"),
        ([Edit(OVERWRITE, b"A", b"4")], b"B: 2\r\nEmpty: \r\nA: 4\r\n"),
        ([Edit(OVERWRITE, b"C", b"4")], BEFORE + b"C: 4\r\n"),
        ([Edit(REMOVE, b"a")], b"B: 2\r\nEmpty: \r\n"),
        ([Edit(REMOVE, b"C")], BEFORE),
        ([Edit(ADD, b"C", b"4"), Edit(REMOVE, b"c"), Edit(ADD, b"c", b"")], BEFORE + b"c: \r\n"),
    ],
)
def test_edits_are_made_in_order(edits: list[Edit], after: bytes) -> None:
    assert edit_lines(BEFORE, edits) == after


def test_an_underscore_counts_as_a_dash() -> None:
    """As a backend that gets fields as CGI variables takes it."""
    fields = ((b"X_User", b"evil"), (b"x-user", b"evil"))
    assert edit_fields(fields, [Edit(OVERWRITE, b"X-User", b"ann")]) == ((b"X-User", b"ann"),)


@pytest.mark.parametrize(
    ("name", "in_response", "in_request"),
    [
        (b"X-Frame-Options", True, True),
        (b"Set-Cookie", True, True),
        (b"Host", True, True),
        (b"Content-Length", False, False),
        (b"content_length", False, False),
        (b"Transfer-Encoding", False, False),
        (b"Connection", False, False),
        (b"Keep-Alive", False, False),
        (b"Trailer", False, False),
        (b"Upgrade", False, False),
        (b"Date", False, True),
        (b"Expect", True, False),
        (b"X-Forwarded-For", True, False),
        (b"X_Forwarded_For", True, False),
        (b"X-Real-IP", True, False),
        (b"Forwarded", True, False),
    ],
)
def test_framing_is_no_bodys_business(name: bytes, in_response: bool, in_request: bool) -> None:
    assert is_editable(name, in_request=False) is in_response
    assert is_editable(name, in_request=True) is in_request


@pytest.mark.parametrize("name", [b"", b"a b", b"a:", b"a\r\n", "ä".encode(), b"a\0"])
def test_what_is_no_name(name: bytes) -> None:
    assert not is_name(name)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        (b"plain", b"plain"),
        (b" \t spaced \t", b"spaced"),
        (b"a\tb", b"a\tb"),
        (b"a\r\nSet-Cookie: b", b"a%0D%0ASet-Cookie: b"),
        (b"\0\x7f", b"%00%7F"),
        ("é".encode(), "é".encode()),
    ],
)
def test_a_value_has_no_control_characters(text: bytes, value: bytes) -> None:
    assert field_value(text) == value
    assert not has_control(value)


@given(st.binary(), st.sampled_from(Operation))
def test_no_value_ends_its_line(text: bytes, operation: Operation) -> None:
    lines = edit_lines(BEFORE, [Edit(operation, b"A", field_value(text))])
    assert not FORBIDDEN(lines)
    names = [line.partition(b":")[0] for line in lines.split(b"\r\n")]
    assert set(names) <= {b"A", b"B", b"a", b"Empty", b""}
    assert lines.count(b"\r\n") == lines.count(b"\n") == len(names) - 1
