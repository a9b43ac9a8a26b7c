from __future__ import annotations

import io
import logging
import sys

import pytest

from mod_progress.cli.terminal import LogFormatter, complain, prepare, tell, warn


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
