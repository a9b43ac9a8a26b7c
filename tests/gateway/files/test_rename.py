from __future__ import annotations

import errno
from pathlib import Path

import pytest

from mod_progress.gateway.files.rename import rename_new
from tests.gateway.files.fuse import file_system

#: What file systems refuse, from the most able one to the plainest.
REFUSED = [
    {},
    {"LINK": errno.EPERM},
    {"LINK": errno.EPERM, "RENAME2": errno.EINVAL},
    {"LINK": errno.EOPNOTSUPP, "RENAME2": errno.ENOSYS},
    {"LINK": errno.EMLINK, "RENAME2": errno.EOPNOTSUPP},
]


@pytest.mark.parametrize("refused", REFUSED)
def test_a_file_gets_its_name_and_replaces_none(tmp_path: Path, refused: dict[str, int]) -> None:
    with file_system(tmp_path / "fs", **refused) as directory:
        source, target, taken = (directory / name for name in ("source", "target", "taken"))
        source.write_bytes(b"new")
        taken.write_bytes(b"old")
        with pytest.raises(FileExistsError):
            rename_new(str(source), str(taken))
        rename_new(str(source), str(target))
        content = {path.name: path.read_bytes() for path in directory.iterdir()}
        assert content == {"target": b"new", "taken": b"old"}


def test_where_every_way_fails_the_last_error_is_raised_and_nothing_changes(tmp_path: Path) -> None:
    refused = {"LINK": errno.EPERM, "RENAME2": errno.EINVAL, "RENAME": errno.EACCES}
    with file_system(tmp_path / "fs", **refused) as directory:
        (directory / "source").write_bytes(b"new")
        with pytest.raises(PermissionError, match="Permission denied"):
            rename_new(str(directory / "source"), str(directory / "target"))
        content = {path.name: path.read_bytes() for path in directory.iterdir()}
        assert content == {"source": b"new"}


def test_a_link_whose_source_stays_has_its_name(tmp_path: Path) -> None:
    with file_system(tmp_path / "fs", UNLINK=errno.EACCES) as directory:
        (directory / "source").write_bytes(b"new")
        rename_new(str(directory / "source"), str(directory / "target"))
        assert (directory / "target").read_bytes() == b"new"
