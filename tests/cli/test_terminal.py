from __future__ import annotations

import io
import logging
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mod_progress.cli.terminal import LogFormatter, complain, escape_controls, prepare, tell, warn


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


@given(st.text(st.characters()))
def test_no_control_is_left(text: str) -> None:
    escaped = escape_controls(text)
    assert all(each.isprintable() or each in "\n\t" for each in escaped)
    assert escape_controls(escaped) == escaped


def test_every_way_to_the_terminal_escapes(capsys: pytest.CaptureFixture[str]) -> None:
    tell("\x1b")
    warn("\x1b")
    complain("\x1b")
    assert capsys.readouterr() == ("\\x1b\n", "\\x1b\nmod-progress: \\x1b\n")


def test_a_log_escapes_too() -> None:
    record = logging.LogRecord("a", logging.INFO, __file__, 1, "%s", ("\x1b",), None)
    assert LogFormatter().format(record) == "\\x1b"


def test_a_terminal_of_another_encoding_is_no_error(monkeypatch: pytest.MonkeyPatch) -> None:
    written = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(written, encoding="ascii"))
    prepare()
    tell("ü")
    assert written.getvalue() == b"\\xfc\n"
