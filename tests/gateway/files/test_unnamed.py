from __future__ import annotations

import asyncio
import errno
import random
import subprocess
import sys
from pathlib import Path

import pytest

from mod_progress.gateway.files import unnamed
from mod_progress.gateway.files.part import PartFile
from mod_progress.gateway.files.unnamed import UnnamedFile, open_new
from mod_progress.gateway.streams.disk import write
from tests.gateway.files.fuse import file_system

LARGE = random.Random(3).randbytes(3 * 1024 * 1024 + 1)


def names(directory: Path) -> list[str]:
    return sorted(path.name for path in directory.iterdir())


def test_a_missing_directory_is_created(tmp_path: Path) -> None:
    with open_new(str(tmp_path / "some" / "where")) as file:
        assert isinstance(file, UnnamedFile)
        asyncio.run(file.publish("a"))
    assert (tmp_path / "some" / "where" / "a").exists()


def test_a_file_has_no_name_of_any_kind(tmp_path: Path) -> None:
    with open_new(str(tmp_path)) as file:
        write(file.file, b"half")
        assert names(tmp_path) == []


@pytest.mark.parametrize("number", [errno.EOPNOTSUPP, errno.EISDIR, errno.EINVAL, errno.ENOSYS])
def test_a_file_system_without_such_files_gets_parts(tmp_path: Path, number: int) -> None:
    with file_system(tmp_path / "fat", TMPFILE=number) as directory:
        with open_new(str(directory)) as file:
            assert isinstance(file, PartFile)
            write(file.file, LARGE)
            assert asyncio.run(file.publish("a.bin")) == ("a.bin", len(LARGE))
        assert names(directory) == ["a.bin"]
        assert (directory / "a.bin").read_bytes() == LARGE


WITHOUT_PROC = """
import asyncio, sys
from mod_progress.gateway.files.unnamed import open_new
for name in ("a", "b"):
    with open_new(sys.argv[1]) as file:
        print(type(file).__name__)
        file.file.write(name.encode())
        print(*asyncio.run(file.publish(name)))
"""


def test_without_proc_a_copy_is_published_and_the_next_file_is_a_part(tmp_path: Path) -> None:
    """In a mount namespace of its own, where nothing is at /proc."""
    hidden = 'mount -t tmpfs none /proc && exec "$@"'
    command = ["unshare", "--mount", "sh", "-c", hidden, "sh", sys.executable, "-c", WITHOUT_PROC]
    done = subprocess.run([*command, str(tmp_path)], check=True, capture_output=True, text=True)
    assert done.stdout.split("\n")[:-1] == ["UnnamedFile", "a 1", "PartFile", "b 1"]
    assert [(tmp_path / name).read_text() for name in names(tmp_path)] == ["a", "b"]


@pytest.fixture
def unnameable(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let no file without a name get one."""

    def fail(file: UnnamedFile, path: str) -> None:
        raise FileNotFoundError(errno.ENOENT, "no /proc")

    monkeypatch.setattr(UnnamedFile, "_give_name", fail)


def test_a_copy_is_whole_and_lets_others_have_their_turn(tmp_path: Path, unnameable: None) -> None:
    async def publish() -> int:
        turns = 0
        task = asyncio.create_task(file.publish("a"))
        while not task.done():
            turns += 1
            await asyncio.sleep(0)
        return turns

    with open_new(str(tmp_path)) as file:
        write(file.file, LARGE)
        assert asyncio.run(publish()) >= 4
    assert names(tmp_path) == ["a"]
    assert (tmp_path / "a").read_bytes() == LARGE


def test_a_copy_can_be_withdrawn(tmp_path: Path, unnameable: None) -> None:
    with open_new(str(tmp_path)) as file:
        asyncio.run(file.publish("a"))
        file.withdraw()
    assert names(tmp_path) == []


@pytest.mark.parametrize("error", [OSError(errno.ENOSPC, "full"), asyncio.CancelledError()])
def test_a_copy_that_fails_leaves_nothing(
    tmp_path: Path,
    unnameable: None,
    descriptors: None,
    monkeypatch: pytest.MonkeyPatch,
    error: BaseException,
) -> None:
    def fail(*arguments: object) -> None:
        raise error

    with open_new(str(tmp_path)) as file:
        write(file.file, LARGE)
        monkeypatch.setattr(unnamed, "write", fail)
        with pytest.raises(type(error)):
            asyncio.run(file.publish("a"))
    assert names(tmp_path) == []
    with open_new(str(tmp_path)) as file:
        assert isinstance(file, UnnamedFile), "nothing is known yet of this directory"


def test_a_file_whose_directory_is_gone_is_an_error(tmp_path: Path) -> None:
    directory = tmp_path / "gone"
    with open_new(str(directory)) as file:
        directory.rmdir()
        with pytest.raises(FileNotFoundError):
            asyncio.run(file.publish("a"))
