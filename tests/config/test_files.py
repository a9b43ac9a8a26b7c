from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest

from mod_progress.config import check
from mod_progress.config.errors import UnplacedError
from mod_progress.config.files import LARGEST, find, read


def test_a_file_is_known_by_its_inode(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("x")
    (tmp_path / "b").write_text("x")
    (tmp_path / "link").symlink_to("a")
    a, b, link = (read(tmp_path / name) for name in ("a", "b", "link"))
    assert a.identity == link.identity != b.identity


@pytest.mark.parametrize(
    ("data", "text"),
    [
        (b"", ""),
        (b"\xef\xbb\xbfx\r\n", "x\r\n"),
        (b"\xc3\xa9\xff\xed\xa0\x80\0", "é\udcff\udced\udca0\udc80\0"),
    ],
)
def test_any_bytes_are_text(tmp_path: Path, data: bytes, text: str) -> None:
    (tmp_path / "file").write_bytes(data)
    assert read(tmp_path / "file").source.text == text


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("none", "No such file or directory"),
        ("directory", "Is a directory"),
        ("pipe", "not a regular file"),
        ("socket", "No such device or address"),
        ("loop", "Too many levels of symbolic links"),
        ("large", f"it is larger than {LARGEST} bytes"),
        ("a\0b", "embedded null byte"),
        ("x" * 300, "File name too long"),
        ("/dev/zero", "not a regular file"),
        ("/proc/self/mem", "Input/output error"),
    ],
)
def test_what_cannot_be_read_is_an_error_of_the_include(
    tmp_path: Path, name: str, reason: str
) -> None:
    (tmp_path / "directory").mkdir()
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "loop").symlink_to("loop")
    (tmp_path / "large").write_bytes(b" " * (LARGEST + 1))
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(tmp_path / "socket"))
        with pytest.raises(UnplacedError) as raised:
            read(tmp_path / name)
        assert reason in str(raised.value)
        main = tmp_path / "main.conf"
        main.write_text("\n\tinclude '" + name.replace("\0", "\\x00") + "';")
        (error,) = check(main)
    assert str(error).startswith(f"{main}:2:10: cannot read ")
    assert reason in error.message


def test_the_largest_file_is_read(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b" " * LARGEST)
    assert len(read(tmp_path / "file").source.text) == LARGEST


def test_wildcards_are_found_in_a_directory_alone(tmp_path: Path) -> None:
    for name in ("b.conf", "a.conf", "a.txt"):
        (tmp_path / name).touch()
    assert find("*.conf", tmp_path) == [tmp_path / "a.conf", tmp_path / "b.conf"]
    assert find("none*", tmp_path) == []
    assert find("none", tmp_path) == [tmp_path / "none"]
    for pattern in ("none/*", "a.conf/*", "a\0b/*", "x" * 300 + "/*"):
        with pytest.raises(UnplacedError, match="cannot read"):
            find(pattern, tmp_path)
