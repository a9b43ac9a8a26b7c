"""What is sent, as a server takes it apart."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from python_multipart import FormParser
from python_multipart.multipart import parse_options_header

from mod_progress.gateway.files.filenames import parse_filename
from mod_progress.terminal.body import PIECE, Body, File, FileError, disposition, find_file, form


def make(directory: Path, name: str, content: bytes) -> File:
    path = directory / name
    path.write_bytes(content)
    return find_file(str(path))


def take_apart(body: Body) -> list[tuple[str, bytes, bytes, bytes]]:
    """Return the parts of a form: type, field name, file name, content."""
    taken = []

    def on_file(file: Any) -> None:
        file.file_object.seek(0)
        taken.append((file.content_type, file.field_name, file.file_name, file.file_object.read()))
        file.close()

    kind, parameters = parse_options_header(body.media_type)
    parser = FormParser(kind.decode(), lambda _: None, on_file, boundary=parameters[b"boundary"])
    pieces = list(body.pieces())
    for piece in pieces:
        parser.write(piece)
    parser.finalize()
    assert body.size == sum(map(len, pieces))
    return taken


def test_a_file_is_read_in_pieces(tmp_path: Path) -> None:
    content = os.urandom(2 * PIECE + 5)
    file = make(tmp_path, "a.png", content)
    assert (file.size, file.name, file.media_type) == (len(content), "a.png", "image/png")
    pieces = list(file.pieces())
    assert b"".join(pieces) == content
    assert [*map(len, pieces)] == [PIECE, PIECE, 5]


def test_a_file_that_grows_is_sent_as_it_was(tmp_path: Path) -> None:
    file = make(tmp_path, "a", b"12345")
    Path(file.path).write_bytes(b"123456789")
    assert list(file.pieces()) == [b"12345"]


def test_a_file_that_becomes_shorter_is_an_error(tmp_path: Path) -> None:
    file = make(tmp_path, "a", b"12345")
    Path(file.path).write_bytes(b"123")
    pieces = file.pieces()
    assert next(pieces) == b"123"
    with pytest.raises(FileError, match="a: it became shorter while it was sent"):
        next(pieces)


def test_a_file_that_is_gone_is_an_error(tmp_path: Path) -> None:
    file = make(tmp_path, "a", b"12345")
    Path(file.path).unlink()
    with pytest.raises(FileError, match="a: No such file or directory"):
        next(file.pieces())


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("", "it is a directory"),
        ("nothing", "nothing: No such file or directory"),
        ("a/b", "a/b: Not a directory"),
        ("\0", "null byte"),
    ],
)
def test_what_cannot_be_sent(tmp_path: Path, path: str, said: str) -> None:
    (tmp_path / "a").touch()
    with pytest.raises(FileError, match=said):
        find_file(f"{tmp_path}/{path}")


def test_a_pipe_has_no_size_and_is_opened_once(tmp_path: Path) -> None:
    path = tmp_path / "pipe"
    os.mkfifo(path)
    file = find_file(str(path))
    assert file.size is None
    if os.fork() == 0:
        path.write_bytes(b"x" * (PIECE + 1))
        os._exit(0)
    assert b"".join(file.pieces()) == b"x" * (PIECE + 1)
    assert os.wait()[1] == 0


@pytest.mark.parametrize(
    ("read", "size"),
    [(0, 10), (4, 6), (20, 0)],
)
def test_a_file_as_standard_input_is_sent_from_where_it_was_read(
    tmp_path: Path, read: int, size: int
) -> None:
    (tmp_path / "a").write_bytes(b"0123456789")
    before = os.dup(0)
    try:
        with (tmp_path / "a").open("rb") as opened:
            os.dup2(opened.fileno(), 0)
            os.lseek(0, read, os.SEEK_SET)
            file = find_file("-")
            assert (file.size, file.name, file.label) == (size, "-", "standard input")
            assert b"".join(file.pieces()) == b"0123456789"[read:]
    finally:
        os.dup2(before, 0)
        os.close(before)


def test_a_form_has_all_files(tmp_path: Path) -> None:
    files = [
        make(tmp_path, "a.txt", b"one"),
        make(tmp_path, "b", b""),
        make(tmp_path, "c", b"\r\n--"),
    ]
    assert take_apart(form("file", files)) == [
        ("text/plain", b"file", b"a.txt", b"one"),
        ("application/octet-stream", b"file", b"b", b""),
        ("application/octet-stream", b"file", b"c", b"\r\n--"),
    ]


NAMES = st.binary(min_size=1, max_size=60).filter(
    lambda name: not set(name) & {0, ord("/")} and name not in (b".", b"..")
)


@settings(deadline=None)
@given(NAMES)
def test_a_server_finds_the_name_of_any_file(name: bytes) -> None:
    with tempfile.TemporaryDirectory() as directory:
        file = make(Path(directory), os.fsdecode(name), b"x")
        head = form("file", [file]).parts[0]
        assert isinstance(head, bytes)
        field = head.split(b"\r\n")[1].partition(b": ")[2]
        raw = disposition(file).encode()
        assert parse_filename(raw) == name.decode(errors="replace")
        # A form has no way to write a percent sign that stands for itself before 22, 0D or 0A.
        if b"%" not in name and b"\\" not in name:
            assert parse_filename(field) == name.decode(errors="replace")


def test_a_body_of_unknown_size(tmp_path: Path) -> None:
    assert Body("a/b", (File("-", None),)).size is None
    assert form("file", [File("-", None), make(tmp_path, "a", b"1")]).size is None
