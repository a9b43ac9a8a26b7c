from __future__ import annotations

import os
import stat
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest

from mod_progress.stores.contract import StoreError
from mod_progress.stores.lmdb import directory
from mod_progress.stores.lmdb.directory import bases, machine, private_directory, remove_abandoned
from mod_progress.stores.lmdb.environment import Environment

MIB = 1 << 20


def name() -> str:
    return f"mod_progress-{os.geteuid()}"


def test_it_is_the_users_alone(tmp_path: Path) -> None:
    found = private_directory(tmp_path)
    assert found == tmp_path / name()
    assert stat.S_IMODE(found.stat().st_mode) == 0o700
    assert private_directory(tmp_path) == found


def _link(path: Path) -> None:
    (path.parent / "elsewhere").mkdir(mode=0o700)
    path.symlink_to(path.parent / "elsewhere")


def _give_away(path: Path) -> None:
    path.mkdir(mode=0o700)
    os.chown(path, 65534, -1)


@pytest.mark.parametrize(
    "prepare",
    [_link, lambda path: path.mkdir(mode=0o750), _give_away],
    ids=["a symbolic link", "open to a group", "of another user"],
)
def test_one_that_others_reach_is_refused(tmp_path: Path, prepare: Callable[[Path], None]) -> None:
    prepare(tmp_path / name())
    with pytest.raises(StoreError, match="alone"):
        private_directory(tmp_path)


def test_a_file_in_its_place_is_an_error(tmp_path: Path) -> None:
    (tmp_path / name()).touch()
    with pytest.raises(FileExistsError):
        private_directory(tmp_path)


@pytest.mark.parametrize("mode", [0o777, 0o770])
def test_a_place_where_others_can_replace_it_is_refused(tmp_path: Path, mode: int) -> None:
    tmp_path.chmod(mode)
    with pytest.raises(StoreError, match="replace"):
        private_directory(tmp_path)


def test_a_place_of_another_user_is_refused(tmp_path: Path) -> None:
    place = tmp_path / "theirs"
    _give_away(place)
    with pytest.raises(StoreError, match="another user"):
        private_directory(place)


def test_a_place_that_is_shared_and_sticky_will_do(tmp_path: Path) -> None:
    tmp_path.chmod(0o1777)
    assert private_directory(tmp_path).parent == tmp_path


@pytest.mark.parametrize("runtime", [None, "", "relative/path"])
def test_without_a_directory_for_runtime_files_others_are_tried(runtime: str | None) -> None:
    assert [*bases(runtime)] == [Path("/dev/shm"), Path(tempfile.gettempdir())]


def test_the_temporary_directory_is_asked_for_last(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where nothing can be written to, that raises."""

    def fail() -> str:
        raise FileNotFoundError("No usable temporary directory found")

    monkeypatch.setattr(tempfile, "gettempdir", fail)
    assert [*bases("/run/user/1")] == [Path("/run/user/1"), Path("/dev/shm")]


def test_processes_of_one_machine_agree_on_it(monkeypatch: pytest.MonkeyPatch) -> None:
    boot, namespaces = machine().split(".")
    assert boot == Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    assert namespaces.split("-")[0] == str(Path("/proc/self/ns/pid").stat().st_ino)
    assert machine() == f"{boot}.{namespaces}"


def test_a_system_that_says_nothing_of_itself_has_an_empty_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(directory, "_BOOT", tmp_path / "absent")
    monkeypatch.setattr(directory, "_NAMESPACES", [tmp_path / "absent"] * 2)
    assert machine() == ".-"


def test_what_no_process_uses_any_more_is_removed(tmp_path: Path) -> None:
    place = private_directory(tmp_path)
    used = Environment("app.v1", str(tmp_path), MIB)
    used.handle()
    (mine,) = place.iterdir()
    abandoned = place / "app.v1.old-boot.1-2"
    others = [place / each for each in ("app.v2.old-boot.1-2", "app.v1.x.v1.old-boot.1-2")]
    for each in abandoned, *others:
        each.mkdir()
        (each / "lock.mdb").touch()
    without_lock = place / "app.v1.old-boot.3-4"
    without_lock.mkdir()
    new = place / "app.v1.new.5-6"
    child = os.fork()  # in another process, since its own locks would not be in its way
    if not child:
        remove_abandoned(new, "app.v1")
        os._exit(0)
    os.waitpid(child, 0)
    used.handle()
    assert {*place.iterdir()} == {mine, without_lock, *others}
    used.close()
