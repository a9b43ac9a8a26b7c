from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from mod_progress.gateway.files import unnamed as drafts
from mod_progress.gateway.files.unnamed import Draft, NamedDraft, open_draft, sweep
from mod_progress.gateway.streams.disk import write

KINDS = [Draft, NamedDraft]


@pytest.mark.parametrize("kind", KINDS)
def test_a_draft_has_no_name_before_it_is_published(
    kind: Callable[[str], Draft], tmp_path: Path
) -> None:
    with kind(str(tmp_path)) as draft:
        write(draft.file, b"half")
        assert not [path for path in tmp_path.iterdir() if not path.name.startswith(".")]
        write(draft.file, b" and half")
        assert (draft.publish("a.txt"), draft.size) == ("a.txt", 13)
    assert [(path.name, path.read_bytes()) for path in tmp_path.iterdir()] == [
        ("a.txt", b"half and half")
    ]


@pytest.mark.parametrize("kind", KINDS)
def test_a_draft_that_is_not_published_is_gone(
    kind: Callable[[str], Draft], tmp_path: Path
) -> None:
    with kind(str(tmp_path)) as draft:
        write(draft.file, b"half")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("kind", KINDS)
def test_nothing_is_ever_replaced(kind: Callable[[str], Draft], tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_bytes(b"old")
    (tmp_path / "a (2).txt").symlink_to(tmp_path / "nowhere")
    (tmp_path / "a (3).txt").mkdir()
    with kind(str(tmp_path)) as draft:
        assert draft.publish("a.txt") == "a (4).txt"
    assert (tmp_path / "a.txt").read_bytes() == b"old"


def test_the_file_may_be_read_as_the_umask_says(tmp_path: Path) -> None:
    before = os.umask(0o027)
    try:
        with Draft(str(tmp_path)) as draft:
            draft.publish("a")
    finally:
        os.umask(before)
    assert (tmp_path / "a").stat().st_mode & 0o777 == 0o640


def test_a_missing_directory_is_created(tmp_path: Path) -> None:
    with open_draft(str(tmp_path / "some" / "where")) as draft:
        draft.publish("a")
    assert (tmp_path / "some" / "where" / "a").exists()


WRITER = """
import sys, time
from mod_progress.gateway.files import unnamed as drafts
draft = getattr(drafts, sys.argv[1])(sys.argv[2])
draft.file.write(b"half")
print("written", flush=True)
time.sleep(60)
"""


@pytest.mark.parametrize("kind", KINDS)
def test_a_killed_process_leaves_nothing_for_long(
    kind: Callable[[str], Draft], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(drafts, "_swept", set())
    command = [sys.executable, "-c", WRITER, kind.__name__, str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as writer:
        assert writer.stdout is not None
        assert writer.stdout.readline() == b"written\n"
        before = set(tmp_path.iterdir())
        sweep(str(tmp_path))
        assert set(tmp_path.iterdir()) == before, "a draft of a living process was swept"
        writer.send_signal(signal.SIGKILL)
    with kind(str(tmp_path)) as draft:
        draft.publish("next")
    assert [path.name for path in tmp_path.iterdir()] == ["next"]


def test_a_sweep_leaves_the_files_of_others(tmp_path: Path) -> None:
    for name in (".upload-", "a.part", ".upload-x.party", ".hidden"):
        (tmp_path / name).touch()
    before = set(tmp_path.iterdir())
    sweep(str(tmp_path))
    assert set(tmp_path.iterdir()) == before
