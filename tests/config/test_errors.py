from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mod_progress.config.errors import ConfigError, Place, Source, nearest, printable


def shown(text: str, part: str, message: str = "wrong") -> str:
    start = text.index(part)
    return str(ConfigError(message, Place(Source("a.conf", text), start, start + len(part))))


@pytest.mark.parametrize(
    ("text", "part", "seen"),
    [
        ("x = 1;", "1", "a.conf:1:5: wrong\nx = 1;\n    ^"),
        ("a\n\tb = 12;\n", "12", "a.conf:2:6: wrong\n\tb = 12;\n\t    ^^"),
        ("a = 'x\ny';", "'x\ny'", "a.conf:1:5: wrong\na = 'x\n    ^^"),
        ("a\r\nb\r\n", "b", "a.conf:2:1: wrong\nb\n^"),
        ("", "", "a.conf:1:1: wrong\n\n^"),
        ("é\udcff\x1b[m b", "b", "a.conf:1:7: wrong\né��[m b\n      ^"),
    ],
)
def test_an_error_shows_its_line(text: str, part: str, seen: str) -> None:
    assert shown(text, part) == seen


def test_of_a_long_line_the_part_around_the_error_is_shown() -> None:
    place, line, carets = shown("a" * 10_000 + "!" + "b" * 10_000, "!").splitlines()
    assert place == "a.conf:1:10001: wrong"
    assert line == "a" * 100 + "!" + "b" * 99
    assert carets == " " * 100 + "^"


def test_a_long_message_is_cut() -> None:
    message, _, _ = shown("x", "x", "y" * 10_000).splitlines()
    assert message == "a.conf:1:1: " + "y" * 1000 + "…"


@pytest.mark.parametrize(
    ("url", "seen"),
    [
        ("redis://:secret@host:x/0", "redis://*******@host:x/0"),
        ("rediss://me:se@cr/et@host", "rediss://***********@host"),
        ("redis://host/0", "redis://host/0"),
    ],
)
def test_passwords_are_never_shown(url: str, seen: str) -> None:
    text = f'progress.store "{url}", 5;'
    told = shown(text, "5", f"not '{url}'")
    assert told == f"a.conf:1:{text.index('5') + 1}: not '{seen}'\n" + (
        f'progress.store "{seen}", 5;\n' + " " * text.index("5") + "^"
    )


def test_a_warning_is_told_as_one() -> None:
    warning = ConfigError("missing", Place(Source("a.conf", "x"), 0, 1), is_warning=True)
    assert str(warning) == "a.conf:1:1: warning: missing\nx\n^"


@given(st.text(), st.data())
@settings(deadline=None)
def test_any_error_can_be_printed(text: str, data: st.DataObject) -> None:
    start = data.draw(st.integers(0, len(text)))
    end = data.draw(st.integers(start, len(text)))
    place = Place(Source(text, text), start, end)
    printed = str(ConfigError(text, place, hint=text))
    assert printed.encode()
    line, carets = printed.split("\n")[-2:]
    assert set(carets) <= set(" \t^")
    assert len(carets) <= len(line) + 1


def test_what_cannot_be_printed_is_replaced() -> None:
    assert printable("a\tb\x1b\n\udcff\u202e\ud800é") == "a\tb�����é"


def test_the_nearest_name() -> None:
    assert nearest("prgress", ["progress", "proxy"]) == "progress"
    assert nearest("x", ["progress", "proxy"]) == ""
    assert nearest("x" * 10_000 + "y", ["x" * 10_000 + "z"]) == ""
