from __future__ import annotations

import os
import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from mod_progress.stores.contract import StoreError
from mod_progress.stores.lmdb.directory import private_directory
from mod_progress.stores.lmdb.environment import Environment, shared
from tests.stores.store_servers import eventually


def _mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_the_directory_is_the_users_alone(tmp_path: Path) -> None:
    found = private_directory()
    assert found == tmp_path / f"mod_progress-{os.geteuid()}"
    assert _mode(found) == 0o700
    assert private_directory() == found


def _link(path: Path) -> None:
    (path.parent / "elsewhere").mkdir(mode=0o700)
    path.symlink_to(path.parent / "elsewhere")


def _give_away(path: Path) -> None:
    path.mkdir(mode=0o700)
    os.chown(path, 65534, -1)


@pytest.mark.parametrize(
    "prepare",
    [
        _link,
        lambda path: path.mkdir(mode=0o750),
        _give_away,
    ],
    ids=["a symbolic link", "open to a group", "of another user"],
)
def test_a_directory_that_others_reach_is_refused(
    tmp_path: Path, prepare: Callable[[Path], None]
) -> None:
    prepare(tmp_path / f"mod_progress-{os.geteuid()}")
    with pytest.raises(StoreError, match="alone"):
        private_directory()


def test_a_file_in_its_place_is_an_error(tmp_path: Path) -> None:
    (tmp_path / f"mod_progress-{os.geteuid()}").touch()
    with pytest.raises(FileExistsError):
        private_directory()


@pytest.mark.parametrize("mode", [0o777, 0o770])
def test_a_place_where_others_can_replace_it_is_passed_over(tmp_path: Path, mode: int) -> None:
    tmp_path.chmod(mode)
    assert tmp_path not in private_directory().parents


def test_a_place_that_is_shared_and_sticky_will_do(tmp_path: Path) -> None:
    tmp_path.chmod(0o1777)
    assert private_directory().parent == tmp_path


def test_a_path_has_one_environment(tmp_path: Path) -> None:
    first = shared(tmp_path / "one", 1 << 20)
    assert shared(tmp_path / "one", 1 << 20) is first
    assert shared(tmp_path / "two", 1 << 20) is not first
    first.handle()
    shared(tmp_path / "one", 1 << 20).handle()
    assert _mode(tmp_path / "one") == 0o700
    assert _mode(tmp_path / "one" / "data.mdb") == 0o600
    first.close()


def test_what_cannot_be_opened_is_tried_once_a_second(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    environment = Environment(tmp_path / "file" / "below", 1 << 20)
    with pytest.raises(NotADirectoryError):
        environment.handle()
    (tmp_path / "file").unlink()
    with pytest.raises(NotADirectoryError):
        environment.handle()
    eventually(lambda: _opens(environment))
    environment.close()


def _opens(environment: Environment) -> bool:
    try:
        return bool(environment.handle())
    except NotADirectoryError:
        return False
