from __future__ import annotations

import re
import unicodedata
from itertools import islice

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mod_progress.gateway.files.filenames import (
    UNNAMED,
    candidates,
    parse_filename,
    plain_name,
    safe_name,
)


@pytest.mark.parametrize(
    ("disposition", "name"),
    [
        (b'form-data; name="file"; filename="a.txt"', "a.txt"),
        (b"attachment; filename=a.txt", "a.txt"),
        (b"attachment; FileName = a.txt ; x=y", "a.txt"),
        (b'form-data; filename="a;b.txt"', "a;b.txt"),
        (b'form-data; filename="a\\"b\\\\c.txt"', 'a"b\\c.txt'),
        (b'form-data; filename="C:\\Users\\me\\a.txt"', "C:\\Users\\me\\a.txt"),
        (b'form-data; filename="a%22b%0D%0Ac%20d%25.txt"', 'a"b\r\nc%20d%25.txt'),
        (b'Form-Data; name="a%22"; filename=a%22b', 'a"b'),
        (b'form-data; filename="a%0a.txt"', "a%0a.txt"),
        (b'attachment; filename="a%22b.txt"', "a%22b.txt"),
        (b"form-data; filename*=UTF-8''a%2522.txt", "a%22.txt"),
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
        ("con .txt", "_con .txt"),
        ("Aux.tar.gz", "_Aux.tar.gz"),
        ("CONIN$", "_CONIN$"),
        ("conout$.txt", "_conout$.txt"),
        ("COM1", "_COM1"),
        ("com\u00b9.log", "_com\u00b9.log"),
        ("LPT\u00b3", "_LPT\u00b3"),
        ("nul:x", "_nul:x"),
        ("con" + " " * 300 + "x", "_con"),
        ("con" + " " * 300 + ".txt", "_con.txt"),
        ("com.txt", "com.txt"),
        ("COM10", "COM10"),
        ("-rf", "_-rf"),
        ("--help.txt", "_--help.txt"),
        ("- 5\u00b0C.csv", "_- 5\u00b0C.csv"),
        (". -a", "_-a"),
        ("a-b.txt", "a-b.txt"),
        (
            "\u0645\u06cc\u200c\u062e\u0648\u0627\u0647\u0645.txt",
            "\u0645\u06cc\u200c\u062e\u0648\u0627\u0647\u0645.txt",
        ),
        ("\u0915\u094d\u200d\u0937.txt", "\u0915\u094d\u200d\u0937.txt"),
        ("\u0d28\u0d4d\u200d.txt", "\u0d28\u0d4d\u200d.txt"),
        ("\U0001f469\u200d\U0001f4bb.png", "\U0001f469\u200d\U0001f4bb.png"),
        ("\u2764\ufe0f\u200d\U0001f525.png", "\u2764\ufe0f\u200d\U0001f525.png"),
        ("\U0001f642\u200d\u2194\ufe0f.png", "\U0001f642\u200d\u2194\ufe0f.png"),
        ("invoice\u200d.pdf", "invoice.pdf"),
        ("in\u200cvoice.pdf", "invoice.pdf"),
        ("\u200d\U0001f4bb\u200d.png", "\U0001f4bb.png"),
        ("\u0645\u200c\u200c\u0645", "\u0645\u0645"),
        ("\u0645\u202e\u200c\u0645", "\u0645\u200c\u0645"),
        ("a" * 254 + " b", "a" * 254),
        ("a" * 254 + ".\u2603" + ".txt", "a" * 251 + ".txt"),
        ("console.txt", "console.txt"),
        ("a" * 300 + ".jpg", "a" * 251 + ".jpg"),
        ("\u2603" * 100 + ".jpg", "\u2603" * 83 + ".jpg"),
        ("a." + "b" * 300, "a." + "b" * 253),
    ],
)
def test_a_name_is_made_safe(sent: str, name: str) -> None:
    assert safe_name(sent) == name


DEVICES = ["con", "prn", "aux", "nul", "conin$", "conout$", "com1", "lpt\u00b2"]

PIECES = [".", "..", "/", "\\", "-", " ", "a", '"', "%22", "\r\n", ".txt", " " * 250]
PIECES += ["\u0645", "\u200c", "\u200d", "\u094d", "\U0001f469", "\u202e", "\u2603" * 84]

#: Texts of which many are near to a trap.
TEXTS = st.one_of(
    st.text(max_size=300),
    st.lists(st.sampled_from([*DEVICES, *PIECES]), max_size=12).map("".join),
)


def check_safe(name: str) -> None:
    assert 1 <= len(name.encode()) <= 255
    assert not {"/", "\\", "\0"} & set(name)
    assert not name.startswith((".", "-", " "))
    assert not name.endswith((".", " "))
    assert name.partition(".")[0].rstrip(" ").lower() not in DEVICES
    invisible = {each for each in name if unicodedata.category(each) in ("Cc", "Cf", "Zl", "Zp")}
    assert invisible <= {"\u200c", "\u200d"}


@given(TEXTS)
def test_any_text_gives_a_safe_name(text: str) -> None:
    check_safe(safe_name(text))


@given(TEXTS)
def test_a_safe_name_stays_as_it_is(text: str) -> None:
    name = safe_name(text)
    assert safe_name(name) == name


@given(TEXTS)
def test_a_joiner_stands_only_where_it_joins(text: str) -> None:
    for match in re.finditer("[\u200c\u200d]", name := safe_name(text)):
        before, after = name[match.start() - 1], name[match.end() :][:1]
        assert unicodedata.category(before)[0] in "LMNS"
        assert unicodedata.combining(before) == 9 or unicodedata.category(after)[0] in "LMNS"


@given(TEXTS)
def test_a_plain_name_is_one_for_every_file_system(text: str) -> None:
    name = plain_name(safe_name(text))
    check_safe(name)
    assert re.fullmatch(r"[A-Za-z0-9._() -]{1,101}", name)


@pytest.mark.parametrize(
    ("name", "plain"),
    [
        ("a.txt", "a.txt"),
        ("na\u00efve: why?.txt", "naive_ why_.txt"),
        ("\u2603", "_"),
        ("a" * 200 + ".tar.gz", "a" * 97 + ".gz"),
        ("\ufb01le", "file"),
    ],
)
def test_a_plain_name_is_close_to_the_safe_one(name: str, plain: str) -> None:
    assert plain_name(name) == plain


@given(st.binary(max_size=400))
def test_any_header_gives_a_safe_name_or_none(text: bytes) -> None:
    name = parse_filename(b"form-data; filename" + text)
    check_safe(safe_name(name or ""))


@given(st.text(max_size=60))
def test_what_a_browser_escapes_comes_back(text: str) -> None:
    """HTML standard, "multipart/form-data encoding algorithm": no other character is escaped."""
    text = text.encode("utf-8", "replace").decode().replace("\\", "/")
    escaped = text.replace("\r", "%0D").replace("\n", "%0A").replace('"', "%22")
    sent = f'form-data; name="file"; filename="{escaped}"'.encode()
    if not re.search("%(?:22|0D|0A)", text):
        assert parse_filename(sent) == text


def test_further_names_are_numbered_before_the_extension() -> None:
    assert list(islice(candidates("a.txt"), 3)) == ["a.txt", "a (2).txt", "a (3).txt"]
    assert list(islice(candidates("a"), 2)) == ["a", "a (2)"]


@given(TEXTS)
def test_further_names_are_as_safe_and_never_the_same(text: str) -> None:
    names = list(islice(candidates(safe_name(text)), 120))
    assert len(set(names)) == len(names)
    for name in names:
        check_safe(name)
