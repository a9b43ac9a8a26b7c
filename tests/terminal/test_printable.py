from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mod_progress.terminal.printable import escape_controls, one_line


@pytest.mark.parametrize(
    ("text", "escaped"),
    [
        ("plain: ü, 漢, 😀\n\tindented\n", "plain: ü, 漢, 😀\n\tindented\n"),
        ("\x1b]0;title\x07", r"\x1b]0;title\x07"),
        ("\x9b31m", r"\x9b31m"),
        ("a\rb\x00", r"a\rb\x00"),
        ("left\u202eright", r"left\u202eright"),
        ("one\u2028two", r"one\u2028two"),
        ("not UTF-8: \udcff", r"not UTF-8: \udcff"),
    ],
)
def test_controls_are_written_out(text: str, escaped: str) -> None:
    assert escape_controls(text) == escaped


@settings(deadline=None)
@given(st.text(st.characters()))
def test_no_control_is_left(text: str) -> None:
    escaped = escape_controls(text)
    assert all(each.isprintable() or each in "\n\t" for each in escaped)
    assert escape_controls(escaped) == escaped


@settings(deadline=None)
@given(st.text(st.characters()))
def test_one_line_is_one_line(text: str) -> None:
    assert one_line(text).isprintable()
    if text.isprintable():
        assert one_line(text) == text


def test_a_line_end_is_written_out() -> None:
    assert one_line("a\n\tb") == r"a\n\tb"
