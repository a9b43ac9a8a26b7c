from __future__ import annotations

import asyncio
import errno
import logging
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from mod_progress.gateway.files import part
from mod_progress.gateway.files.part import PartFile, sweep
from tests.gateway.files.fuse import file_system


def names(directory: Path) -> list[str]:
    return sorted(path.name for path in directory.iterdir())


def make_older(path: Path, seconds: float) -> None:
    changed = time.time() - seconds
    os.utime(path, (changed, changed))


WRITER = """
import sys, time
from mod_progress.gateway.files.part import PartFile
file = PartFile(sys.argv[1])
file.file.write(b"half")
print("written", flush=True)
time.sleep(60)
"""


def test_a_killed_process_leaves_its_part_for_a_while(tmp_path: Path) -> None:
    command = [sys.executable, "-c", WRITER, str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as writer:
        assert writer.stdout is not None
        assert writer.stdout.readline() == b"written\n"
        (left,) = tmp_path.iterdir()
        make_older(left, 3600)
        sweep(str(tmp_path), time.time())
        assert left.exists(), "the part of a living process was swept"
        writer.send_signal(signal.SIGKILL)
    make_older(left, 30)
    sweep(str(tmp_path), time.time())
    assert left.exists(), "a part may be so new that it has no lock yet"
    make_older(left, 3600)
    with PartFile(str(tmp_path)) as file:
        asyncio.run(file.publish("next"))
    assert names(tmp_path) == ["next"]


def test_without_locks_a_part_lives_for_a_day(tmp_path: Path) -> None:
    refused = {"SETLK": errno.ENOLCK, "SETLKW": errno.ENOLCK}
    with file_system(tmp_path / "nfs", **refused) as directory:
        left = directory / ".upload-1.part"
        left.touch()
        make_older(left, 3600)
        sweep(str(directory), time.time())
        assert left.exists()
        make_older(left, 25 * 3600)
        with PartFile(str(directory)):
            assert not left.exists()
        assert names(directory) == []


def test_a_directory_is_swept_once_an_hour(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    swept = []
    monkeypatch.setattr(part, "sweep", lambda directory, now: swept.append(directory))
    with PartFile(str(tmp_path)), PartFile(str(tmp_path)):
        assert swept == [str(tmp_path)]
    monkeypatch.setattr(part, "_swept", {str(tmp_path): time.monotonic() - 3601})
    with PartFile(str(tmp_path)):
        assert swept == [str(tmp_path)] * 2


def test_a_sweep_leaves_the_files_of_others(tmp_path: Path) -> None:
    for name in (".upload-", "a.part", ".upload-x.party", ".hidden"):
        (tmp_path / name).touch()
        make_older(tmp_path / name, 7 * 24 * 3600)
    before = names(tmp_path)
    sweep(str(tmp_path), time.time())
    assert names(tmp_path) == before


def test_a_sweep_waits_for_nothing(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / ".upload-fifo.part")
    (tmp_path / ".upload-link.part").symlink_to(tmp_path / "target")
    (tmp_path / "target").touch()
    (tmp_path / ".upload-directory.part").mkdir()
    for path in tmp_path.iterdir():
        make_older(path, 7 * 24 * 3600)
    sweep(str(tmp_path), time.time())
    assert (tmp_path / "target").exists()


def test_what_a_file_system_could_not_keep_is_not_published(tmp_path: Path) -> None:
    """One on a network says so at the close of a descriptor, not at the write."""
    with file_system(tmp_path / "nfs", FLUSH=errno.EDQUOT) as directory:
        with PartFile(str(directory)) as file:
            file.file.write(b"lost")
            with pytest.raises(OSError, match="quota"):
                asyncio.run(file.publish("a.txt"))
        assert names(directory) == []


def test_a_part_that_cannot_be_removed_is_logged(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, descriptors: None
) -> None:
    with (
        file_system(tmp_path / "odd", UNLINK=errno.EACCES) as directory,
        caplog.at_level(logging.WARNING),
    ):
        PartFile(str(directory)).close()
    assert "cannot remove" in caplog.text
