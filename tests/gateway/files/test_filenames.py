from __future__ import annotations

from itertools import islice

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mod_progress.gateway.files.filenames import UNNAMED, candidates, parse_filename, safe_name


@pytest.mark.parametrize(
    ("disposition", "name"),
    [
        (b'form-data; name="file"; filename="a.txt"', "a.txt"),
        (b"attachment; filename=a.txt", "a.txt"),
        (b"attachment; FileName = a.txt ; x=y", "a.txt"),
        (b'form-data; filename="a;b.txt"', "a;b.txt"),
        (b'form-data; filename="a\\"b\\\\c.txt"', 'a"b\\c.txt'),
        (b'form-data; filename="C:\\Users\\me\\a.txt"', "C:\\Users\\me\\a.txt"),
        ('form-data; filename="na\u00efve \u2603.txt"'.encode(), "na\u00efve \u2603.txt"),
        (b'form-data; filename="\xff.txt"', "\ufffd.txt"),
        (b"attachment; filename=a.txt; filename*=UTF-8''%e2%82%ac.txt", "\u20ac.txt"),
        (b"attachment; filename*=iso-8859-1'en'%A3.txt", "\u00a3.txt"),
        (b"attachment; filename*=koi8-r''%A3.txt; filename=a.txt", "a.txt"),
        (b'form-data; filename=""', ""),
        (b'form-data; filename="a"; filename="b"', "a"),
        (b'form-data; name="x; filename=evil"', None),
        (b'form-data; name="filename=evil"', None),
        (b"", None),
    ],
)
def test_a_content_disposition_tells_the_name(disposition: bytes, name: str | None) -> None:
    assert parse_filename(disposition) == name


@pytest.mark.parametrize(
    ("sent", "name"),
    [
        ("photo.jpg", "photo.jpg"),
        ("two words (1).tar.gz", "two words (1).tar.gz"),
        ("na\u00efve \u2603.txt", "na\u00efve \u2603.txt"),
        ("/etc/passwd", "passwd"),
        ("../../up.txt", "up.txt"),
        ("C:\\Users\\me\\a.txt", "a.txt"),
        ("a\\../b/c.txt", "c.txt"),
        ("..", UNNAMED),
        (".", UNNAMED),
        ("", UNNAMED),
        ("dir/", UNNAMED),
        (" . ", UNNAMED),
        (".htaccess", "htaccess"),
        (". .bashrc", "bashrc"),
        ("trailing. . ", "trailing"),
        ("a\0b\r\nc\x7f.txt", "abc.txt"),
        ("evil\u202egnp.exe", "evilgnp.exe"),
        ("half\udcff.txt", "half.txt"),
        ("CON", "_CON"),
        ("nul.txt", "_nul.txt"),
        ("console.txt", "console.txt"),
        ("a" * 300 + ".jpg", "a" * 251 + ".jpg"),
        ("\u2603" * 100 + ".jpg", "\u2603" * 83 + ".jpg"),
        ("a." + "b" * 300, "a." + "b" * 253),
    ],
)
def test_a_name_is_made_safe(sent: str, name: str) -> None:
    assert safe_name(sent) == name


def check_safe(name: str) -> None:
    assert 1 <= len(name.encode()) <= 255
    assert not {"/", "\\", "\0"} & set(name)
    assert not name.startswith(".")
    assert not any(ord(character) < 0x20 or ord(character) == 0x7F for character in name)


@given(st.text(max_size=300))
def test_any_text_gives_a_safe_name(text: str) -> None:
    check_safe(safe_name(text))


@given(st.binary(max_size=400))
def test_any_header_gives_a_safe_name_or_none(text: bytes) -> None:
    name = parse_filename(b"form-data; filename" + text)
    check_safe(safe_name(name or ""))


def test_further_names_are_numbered_before_the_extension() -> None:
    assert list(islice(candidates("a.txt"), 3)) == ["a.txt", "a (2).txt", "a (3).txt"]
    assert list(islice(candidates("a"), 2)) == ["a", "a (2)"]


@given(st.text(max_size=300))
def test_further_names_are_as_safe_and_never_the_same(text: str) -> None:
    names = list(islice(candidates(safe_name(text)), 120))
    assert len(set(names)) == len(names)
    for name in names:
        check_safe(name)
