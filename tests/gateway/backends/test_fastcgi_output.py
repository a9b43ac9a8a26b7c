"""What of an application's error stream goes to the log, and how."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from mod_progress.gateway.backends.fastcgi import FastCgiOutput
from mod_progress.gateway.streams.buffer import ReceiveBuffer
from tests.gateway.fastcgi_records import STDERR, end, record


class Stream(SimpleNamespace):
    """All that the output sees of its connection."""

    def __str__(self) -> str:
        return "a:1"


@pytest.mark.parametrize(
    ("pieces", "lines"),
    [
        ([b"one\n"], ["one"]),
        ([b"one"], ["one"]),
        ([b"on", b"e\ntwo\n"], ["one", "two"]),
        ([b"one\r\n \ttwo\n"], ["one", " \ttwo"]),
        ([b"\x1b[31m \xc2\x9b \xff \xc3\xa9 \x00\n"], ["\\x1b[31m \\x9b \\xff \u00e9 \\x00"]),
        ([b"a" * 9000, b"b"], ["a" * 9000, "b"]),
        ([b"x\n" * 1000], ["x"] * 100 + ["900 more lines"]),
    ],
    ids=["a line", "no end", "split", "spaces", "controls", "a long line", "many lines"],
)
def test_what_is_logged(
    pieces: list[bytes], lines: list[str], caplog: pytest.LogCaptureFixture
) -> None:
    stream: Any = Stream(buffer=ReceiveBuffer())
    output = FastCgiOutput(stream)
    for piece in pieces:
        stream.buffer.append(record(STDERR, piece))
        assert output.take() == b""
    stream.buffer.append(end())
    output.take()
    assert output.finished
    assert [each.getMessage() for each in caplog.records] == [f"a:1: {line}" for line in lines]
