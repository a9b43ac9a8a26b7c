from __future__ import annotations

import asyncio
import os
import re
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mod_progress.gateway.files.form import Form
from mod_progress.gateway.files.new_file import Saved
from mod_progress.gateway.files.reservation import Reservation
from mod_progress.gateway.files.upload_limits import DEFAULT_LIMITS, UploadLimits
from mod_progress.gateway.http.heads import Refusal

UNBOUNDED = Reservation("", DEFAULT_LIMITS, None)


def feed(form: Form, data: bytes, size: int) -> None:
    for start in range(0, len(data), size):
        form.feed(data[start : start + size])


def save(
    directory: Path, data: bytes, size: int = 1 << 20, limits: UploadLimits = DEFAULT_LIMITS
) -> list[Saved]:
    reservation = Reservation(str(directory), limits, None)
    with Form(str(directory), b"limit", limits, reservation) as form:
        feed(form, data, size)
        return asyncio.run(form.publish())


def part(content: bytes, filename: str | None = "a.txt") -> bytes:
    name = "" if filename is None else f'; filename="{filename}"'
    return f'Content-Disposition: form-data; name="a"{name}\r\n\r\n'.encode() + content


def contents(directory: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in directory.iterdir()}


#: What RFC 2046, section 5.1.1, allows around the parts, with `%b` for the part.
AROUND = [
    b"--limit\r\n%b\r\n--limit--\r\n",
    b"\r\n--limit\r\n%b\r\n--limit--\r\n",
    b"This is a form.\r\n\r\n--limit\r\n%b\r\n--limit--\r\n",
    b"--limit \t \r\n%b\r\n--limit--\r\n",
    b"--limit\r\n%b\r\n--limit \t\r\nContent-Type: a/b\r\n\r\nc\r\n--limit--",
    b"a\r\n--limit\t\r\n%b\r\n--limit--  \r\nThe end.\r\n",
    b"--limits\r\n--limit is no such line\r\n--limit\r\n%b\r\n--limit--",
    b"-" * 900 + b"\r\n--limit\r\n%b\r\n--limit--",
]


@pytest.mark.parametrize("size", [1, 2, 7, 1 << 20])
@pytest.mark.parametrize("around", AROUND)
def test_what_stands_around_the_parts_is_no_part(tmp_path: Path, around: bytes, size: int) -> None:
    content = b"content\r\n--limi\r\n\r\n--limits"
    assert save(tmp_path, around % part(content), size) == [("a.txt", len(content))]
    assert contents(tmp_path) == {"a.txt": content}


@settings(deadline=None)
@given(
    st.lists(st.binary(max_size=300), min_size=1, max_size=3),
    st.integers(1, 400),
    st.binary(max_size=600),
    st.text(" \t", max_size=9),
)
def test_any_content_is_saved_however_it_is_cut(
    tmp_path_factory: pytest.TempPathFactory,
    files: list[bytes],
    size: int,
    preamble: bytes,
    padding: str,
) -> None:
    delimiter = b"\r\n--limit" + padding.encode()
    sent = preamble
    for content in files:
        sent += delimiter + b"\r\n" + part(content)
    directory = tmp_path_factory.mktemp("form")
    saved = save(directory, sent + b"\r\n--limit--\r\n", size)
    assert [each.size for each in saved] == list(map(len, files))
    assert [(directory / each.name).read_bytes() for each in saved] == files


@settings(deadline=None)
@given(st.binary(max_size=400), st.integers(1, 50))
def test_any_bytes_are_a_form_or_refused(
    tmp_path_factory: pytest.TempPathFactory, data: bytes, size: int
) -> None:
    directory = tmp_path_factory.mktemp("form")
    before = set(Path("/proc/self/fd").iterdir())
    with pytest.raises(Refusal) as raised:
        save(directory, b"--limit\r\n" + data, size)
    assert raised.value.status == 400
    assert contents(directory) == {}
    assert set(Path("/proc/self/fd").iterdir()) == before


def repeated(part: bytes, count: int) -> bytes:
    return (b"--limit\r\n" + part + b"\r\n") * count + b"--limit--\r\n"


def test_as_many_files_and_parts_as_there_may_be(tmp_path: Path) -> None:
    limits = UploadLimits(form_files=3, form_parts=5)
    fields = repeated(part(b"x", None), 2).removesuffix(b"--limit--\r\n")
    assert len(save(tmp_path, fields + repeated(part(b"x"), 3), limits=limits)) == 3


@pytest.mark.parametrize(
    ("sent", "words"),
    [
        (repeated(part(b"x"), 4), "the form has more than 3 files"),
        (repeated(part(b"x", ""), 4), "the form has more than 3 files"),
        (repeated(part(b"x", None), 6), "the form has more than 5 parts"),
    ],
)
def test_too_many_are_refused_in_words(tmp_path: Path, sent: bytes, words: str) -> None:
    with pytest.raises(Refusal, match=re.escape(words)) as raised:
        save(tmp_path, sent, limits=UploadLimits(form_files=3, form_parts=5))
    assert raised.value.status == 413
    assert contents(tmp_path) == {}


def test_a_field_where_no_file_was_chosen_is_no_file(tmp_path: Path) -> None:
    chosen = repeated(part(b"x"), 3).removesuffix(b"--limit--\r\n")
    sent = chosen + repeated(part(b"", ""), 2)
    assert len(save(tmp_path, sent, limits=UploadLimits(form_files=3, form_parts=5))) == 3


@pytest.mark.parametrize("boundary", [b"", b"b" * 300])
def test_a_boundary_that_there_cannot_be_is_refused(tmp_path: Path, boundary: bytes) -> None:
    with pytest.raises(Refusal, match=r"(?i)boundary"):
        Form(str(tmp_path), boundary, DEFAULT_LIMITS, UNBOUNDED)


def test_where_one_file_cannot_be_published_none_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = os.link

    def link(source: str, target: str, **named: object) -> None:
        if "refused" in target:
            raise OSError(28, "No space left on device")
        real(source, target, **named)  # type: ignore[arg-type]

    monkeypatch.setattr(os, "link", link)
    monkeypatch.setattr("mod_progress.gateway.files.rename._renameat2", None)
    monkeypatch.setattr(os, "replace", link)
    sent = b"--limit\r\n" + part(b"1", "a") + b"\r\n" + repeated(part(b"2", "refused"), 1)
    with pytest.raises(OSError, match="No space"):
        save(tmp_path, sent)
    assert contents(tmp_path) == {}
