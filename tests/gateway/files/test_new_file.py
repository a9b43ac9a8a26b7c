from __future__ import annotations

import asyncio
import errno
import fcntl
import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from mod_progress.gateway.files import rename
from mod_progress.gateway.files.new_file import NewFile
from mod_progress.gateway.files.part import PartFile
from mod_progress.gateway.files.unnamed import UnnamedFile, open_new
from mod_progress.gateway.streams.disk import write
from tests.gateway.files.fuse import file_system

KINDS = [UnnamedFile, PartFile]

Kind = Callable[[str], NewFile]


def publish(file: NewFile, name: str) -> str:
    return asyncio.run(file.publish(name)).name


def names(directory: Path) -> set[str]:
    return {path.name for path in directory.iterdir()}


@pytest.mark.parametrize("kind", KINDS)
def test_a_file_is_not_seen_before_it_is_published(kind: Kind, tmp_path: Path) -> None:
    with kind(str(tmp_path)) as file:
        write(file.file, b"half")
        assert not [name for name in names(tmp_path) if not name.startswith(".")]
        write(file.file, b" and half")
        assert asyncio.run(file.publish("a.txt")) == ("a.txt", 13)
    assert names(tmp_path) == {"a.txt"}
    assert (tmp_path / "a.txt").read_bytes() == b"half and half"


@pytest.mark.parametrize("kind", KINDS)
def test_a_file_that_is_not_published_is_gone(
    kind: Kind, tmp_path: Path, descriptors: None
) -> None:
    with kind(str(tmp_path)) as file:
        write(file.file, b"half")
    assert names(tmp_path) == set()


@pytest.mark.parametrize("kind", KINDS)
def test_nothing_is_ever_replaced(kind: Kind, tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_bytes(b"old")
    (tmp_path / "a (2).txt").symlink_to(tmp_path / "nowhere")
    (tmp_path / "a (3).txt").mkdir()
    with kind(str(tmp_path)) as file:
        assert publish(file, "a.txt") == "a (4).txt"
    assert (tmp_path / "a.txt").read_bytes() == b"old"


@pytest.mark.parametrize("kind", KINDS)
def test_the_umask_says_who_may_read_the_file(kind: Kind, tmp_path: Path) -> None:
    before = os.umask(0o027)
    try:
        with kind(str(tmp_path)) as file:
            publish(file, "a")
    finally:
        os.umask(before)
    assert (tmp_path / "a").stat().st_mode & 0o777 == 0o640


@pytest.mark.parametrize("kind", KINDS)
def test_a_published_file_can_be_withdrawn(kind: Kind, tmp_path: Path) -> None:
    with kind(str(tmp_path)) as file:
        file.withdraw()
        publish(file, "a")
        file.withdraw()
    assert names(tmp_path) == set()


@pytest.mark.parametrize("kind", KINDS)
def test_a_file_of_somebody_else_is_not_withdrawn(kind: Kind, tmp_path: Path) -> None:
    with kind(str(tmp_path)) as file:
        publish(file, "a")
        (tmp_path / "other").write_bytes(b"other")
        (tmp_path / "other").rename(tmp_path / "a")
        file.withdraw()
    assert (tmp_path / "a").read_bytes() == b"other"


def test_a_name_that_the_file_system_refuses_becomes_a_plain_one(tmp_path: Path) -> None:
    with (
        file_system(tmp_path / "fat", '"*:<>?|') as directory,
        open_new(str(directory)) as file,
    ):
        assert publish(file, "naïve: why?.txt") == "naive_ why_.txt"
        assert names(directory) == {"naive_ why_.txt"}


def test_a_plain_name_that_is_refused_too_is_an_error(tmp_path: Path) -> None:
    with (
        file_system(tmp_path / "odd", "z") as directory,
        open_new(str(directory)) as file,
        pytest.raises(OSError, match="Invalid argument"),
    ):
        publish(file, "z.txt")


def failing(number: int) -> Callable[..., Any]:
    """Return a system call that fails."""

    def fail(*arguments: object, **named: object) -> None:
        raise OSError(number, os.strerror(number))

    return fail


#: System calls that fail before a part is open or after, and whether it is published all the same.
FAULTS = [
    (["fcntl.flock"], [], True),
    (["os.scandir"], [], True),
    (["os.fstat"], [], True),
    ([], ["os.dup"], False),
    ([], ["os.fstat"], False),
    ([], ["os.link"], True),
    ([], ["os.link", "rename._rename_no_replace"], True),
    ([], ["os.link", "rename._rename_no_replace", "os.replace"], False),
    ([], ["os.link", "rename._rename_no_replace", "os.open"], False),
]

MODULES = {"os": os, "fcntl": fcntl, "rename": rename}


@pytest.mark.parametrize("number", [errno.EPERM, errno.EOPNOTSUPP, errno.ENOLCK, errno.EIO])
@pytest.mark.parametrize(("before", "after", "published"), FAULTS)
def test_whatever_fails_a_part_is_published_or_leaves_nothing(
    tmp_path: Path,
    descriptors: None,
    before: list[str],
    after: list[str],
    published: bool,
    number: int,
) -> None:
    def inject(calls: list[str], injected: pytest.MonkeyPatch) -> None:
        for call in calls:
            module, _, name = call.partition(".")
            injected.setattr(MODULES[module], name, failing(number))

    with pytest.MonkeyPatch.context() as injected:
        inject(before, injected)
        file = PartFile(str(tmp_path))
    with file, pytest.MonkeyPatch.context() as injected:
        write(file.file, b"content")
        inject(after, injected)
        if published:
            assert publish(file, "a.txt") == "a.txt"
        else:
            with pytest.raises(OSError, match=re.escape(os.strerror(number))):
                publish(file, "a.txt")
    assert names(tmp_path) == ({"a.txt"} if published else set())
