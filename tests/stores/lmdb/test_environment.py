from __future__ import annotations

import os
import stat
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from mod_progress.stores.contract import StoreError
from mod_progress.stores.lmdb import directory
from mod_progress.stores.lmdb.environment import LOCK_SIZE, Environment, shared
from tests.stores.store_servers import eventually

MIB = 1 << 20


@pytest.fixture(autouse=True)
def _no_other_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """There are two places alone: what XDG_RUNTIME_DIR names, and this one for shared memory."""
    second = tmp_path / "second"
    second.mkdir(mode=0o700)
    monkeypatch.setattr(directory, "SHARED_MEMORY", str(second))
    monkeypatch.setattr(tempfile, "gettempdir", lambda: str(tmp_path / "absent"))


@pytest.fixture
def first(tmp_path: Path) -> Path:
    first = tmp_path / "first"
    first.mkdir(mode=0o700)
    return first


@pytest.fixture
def second(tmp_path: Path) -> Path:
    return tmp_path / "second"


def place_of(environment: Environment) -> Path:
    environment.handle()
    assert environment._directory is not None
    return environment._directory.parent.parent


def test_a_stem_has_one_environment(first: Path) -> None:
    one = shared("one", str(first), MIB)
    assert shared("one", str(first), MIB) is one
    assert shared("two", str(first), MIB) is not one
    assert shared("one", None, MIB) is not one
    one.handle()
    shared("one", str(first), MIB).handle()
    assert one._directory is not None
    for path, mode in ((one._directory, 0o700), (one._directory / "data.mdb", 0o600)):
        assert stat.S_IMODE(path.stat().st_mode) == mode
    one.close()


def _remove(place: Path) -> None:
    place.rmdir()


def _open_to_all(place: Path) -> None:
    place.chmod(0o777)


def _taken(place: Path) -> None:
    (place / f"mod_progress-{os.geteuid()}").touch()


def _linked(place: Path) -> None:
    (place / f"mod_progress-{os.geteuid()}").symlink_to(place)


def _file(place: Path) -> None:
    place.rmdir()
    place.touch()


def _read_only(place: Path) -> None:
    subprocess.run(["mount", "-t", "tmpfs", "-o", "ro,mode=700", "none", place], check=True)


@pytest.mark.parametrize("fault", [_remove, _open_to_all, _taken, _linked, _file, _read_only])
def test_a_place_that_will_not_do_is_passed_over(
    first: Path, second: Path, fault: Callable[[Path], None]
) -> None:
    fault(first)
    environment = Environment("stem", str(first), MIB)
    assert place_of(environment) == second
    environment.close()
    subprocess.run(["umount", "--quiet", first], check=False)


def test_if_no_place_will_do_the_reason_of_each_is_told(first: Path, second: Path) -> None:
    _open_to_all(first)
    _taken(second)
    environment = Environment("stem", str(first), MIB)
    with pytest.raises(StoreError) as caught:
        environment.handle()
    assert f"{first}: other users may replace what is in it" in str(caught.value)
    assert f"{second}: File exists" in str(caught.value)
    assert str(caught.value).startswith("its files cannot be opened (")


def test_a_place_that_vanishes_is_replaced(first: Path, second: Path) -> None:
    """As XDG_RUNTIME_DIR does when its user logs out."""
    environment = Environment("stem", str(first), MIB)
    assert place_of(environment) == first
    environment.close()
    subprocess.run(["rm", "-r", first], check=True)
    assert place_of(environment) == second
    environment.close()


def test_what_cannot_be_opened_is_tried_once_a_second(first: Path, second: Path) -> None:
    _open_to_all(first)
    _open_to_all(second)
    environment = Environment("stem", str(first), MIB)
    with pytest.raises(StoreError):
        environment.handle()
    first.chmod(0o700)
    with pytest.raises(StoreError):
        environment.handle()
    eventually(lambda: _opens(environment))
    environment.close()


def _opens(environment: Environment) -> bool:
    try:
        return bool(environment.handle())
    except StoreError:
        return False


def _descriptors() -> set[str]:
    return {
        f"{each}:{each.readlink()}" for each in Path("/proc/self/fd").iterdir() if each.exists()
    }


def test_no_descriptor_is_left_open(first: Path) -> None:
    before = _descriptors()
    for _ in range(3):
        environment = Environment("stem", str(first), MIB)
        environment.handle()
        environment.close()
        environment.handle()
        del environment
    assert _descriptors() == before


def test_an_opening_that_fails_half_way_leaves_no_descriptor_open(
    first: Path, second: Path
) -> None:
    """The data is garbage: the writers' lock is open by then."""
    environment = Environment("stem", str(first), MIB)
    place_of(environment)
    environment.close()
    assert environment._directory is not None
    (environment._directory / "data.mdb").write_bytes(b"no database at all" * 1000)
    before = _descriptors()
    for _ in range(3):
        with pytest.raises(Exception, match="not an LMDB file"):
            environment.handle()
        environment._check_at = 0.0
    assert _descriptors() == before


@pytest.fixture
def full_disk(first: Path) -> Iterator[Path]:
    """A file system without a single page left."""
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=128k,mode=700", "none", first], check=True)
    yield first
    subprocess.run(["umount", "--lazy", first], check=True)


def _fill(disk: Path) -> None:
    with (disk / "ballast").open("wb", 0) as ballast, suppress(OSError):  # no space left
        while True:
            ballast.write(bytes(4096))


_OPEN = """
import sys, tempfile
from mod_progress.stores.contract import StoreError
from mod_progress.stores.lmdb import directory
from mod_progress.stores.lmdb.environment import Environment
directory.SHARED_MEMORY = tempfile.tempdir = sys.argv[1]
environment = Environment("stem", sys.argv[1], 1 << 20)
try:
    readers = [environment.handle().begin() for _ in range(500)]
    print("open")
except StoreError as error:
    print(error)
"""


def _open_in_another_process(disk: Path) -> str:
    done = subprocess.run(
        [sys.executable, "-c", _OPEN, disk], capture_output=True, text=True, check=True
    )
    return done.stdout.strip()


def test_a_disk_that_is_full_from_the_start_is_an_error_and_no_crash(full_disk: Path) -> None:
    """LMDB alone writes to a mapped page that is not there: SIGBUS."""
    _fill(full_disk)
    assert "No space left on device" in _open_in_another_process(full_disk)
    (full_disk / "ballast").unlink()
    assert _open_in_another_process(full_disk) == "open"


def test_a_disk_that_fills_later_stops_no_reader(full_disk: Path) -> None:
    environment = Environment("stem", str(full_disk), MIB)
    environment.handle()
    environment.close()
    assert environment._directory is not None
    lock = (environment._directory / "lock.mdb").stat()
    assert lock.st_size >= LOCK_SIZE
    assert lock.st_blocks * 512 >= lock.st_size
    _fill(full_disk)
    assert _open_in_another_process(full_disk) == "open"
