from __future__ import annotations

import logging
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest

from mod_progress import details as details_record
from mod_progress.stores.contract import CAPACITY, StoreBusy, StoreError, Update
from mod_progress.stores.listing import Query
from mod_progress.stores.lmdb import directory
from mod_progress.stores.lmdb import environment as environments
from mod_progress.stores.lmdb import store as stores
from mod_progress.stores.lmdb.store import _DETAILS, BYTES_AN_ENTRY, LocalStore
from mod_progress.transfer import UNKNOWN, Snapshot, State
from tests.clock import Clock
from tests.stores.store_servers import eventually, listed, page

RUNNING = Snapshot(State.RUNNING, 50, 7, 100, 7, 200)
DONE = Snapshot(State.DONE, 100, 20, 100, 20, 200)


def update(
    identifier: str, snapshot: Snapshot = DONE, ttl: float = 30.0, details: bytes = b""
) -> Update:
    return Update(identifier, 1, snapshot, ttl, first=True, details=details)


def publish_many(store: LocalStore, number: int) -> None:
    for first in range(0, number, 10):
        store.publish([update(f"id{first + each}") for each in range(10)])


def files(tmp_path: Path) -> Path:
    (found,) = (tmp_path / f"mod_progress-{os.geteuid()}").iterdir()
    return found


@pytest.fixture
def store() -> Iterator[LocalStore]:
    store = LocalStore("test")
    yield store
    store.close()


def test_names_separate_applications(store: LocalStore) -> None:
    store.publish([update("a")])
    other = LocalStore("other")
    assert other.lookup("a") == UNKNOWN
    assert store.lookup("a") == DONE


def test_beyond_the_capacity_the_oldest_finished_leave_first() -> None:
    store = LocalStore("small", capacity=10)
    store.publish([update("runs", RUNNING)])
    for number in range(30):
        store.publish([update(f"id{number}", ttl=30 + number)])
    held = listed(store)
    assert 9 <= len(held) <= 12
    assert held.keys() == {"runs", *(f"id{number}" for number in range(31 - len(held), 30))}


def test_what_is_over_is_swept(store: LocalStore) -> None:
    store.publish([update(f"id{number}", ttl=0.05) for number in range(100)])
    eventually(lambda: store.lookup("id99") == UNKNOWN)
    for _ in range(50):
        store.publish([update("a")])
    with store._open().handle().begin() as transaction:
        assert transaction.stat()["entries"] == 2


def test_a_long_transfer_is_swept_over_not_away(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock()
    nanoseconds = SimpleNamespace(monotonic_ns=lambda: int(clock() * 1e9))
    monkeypatch.setattr(stores, "time", nanoseconds)
    store = LocalStore("long", lease=1.0)
    store.publish([update("a", RUNNING, ttl=1.0)])
    for _ in range(20):
        clock.now += 1.5
        assert store.lookup("a").state is State.ERROR
        store.publish([update("a", RUNNING, ttl=1.0)])
        assert store.lookup("a") == RUNNING


def test_the_capacity_of_the_longest_entries_fits_the_map() -> None:
    """At a hundredth of the size; pages get emptier the more batches come in no order."""
    details = bytes(details_record.MOST_BYTES)
    capacity = CAPACITY // 100
    store = LocalStore("wide", capacity=capacity)
    for first in range(3 * capacity):
        name = f"{first * 7919 % capacity:0128d}"
        if first % 5 == 0:
            batch = []
        batch.append(update(name, ttl=30 + first % 7, details=details))
        if first % 5 == 4:
            store.publish(batch)
    assert len(listed(store)) > 0.99 * capacity
    with store._open().handle().begin():
        info = store._open().handle().info()
    assert info["last_pgno"] * 4096 < capacity * BYTES_AN_ENTRY


def test_a_full_map_is_said_once_and_starts_over(caplog: pytest.LogCaptureFixture) -> None:
    store = LocalStore("full", map_size=1 << 18)
    other = LocalStore("full", map_size=1 << 18)
    with pytest.raises(StoreError, match="it is full"):
        publish_many(store, 10_000)
    store.publish([update("a")])
    assert store.lookup("a") == DONE
    eventually(lambda: other.lookup("a") == DONE)
    assert [record.getMessage().partition(": ")[2] for record in caplog.records] == [
        "it is full; each process answers from its own table until it is back",
        "it is back",
    ]


def test_a_broken_file_is_put_away(
    store: LocalStore, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    store.publish([update("a")])
    store.close()
    (files(tmp_path) / "data.mdb").write_bytes(b"no database at all" * 1000)
    assert store.lookup("a") == UNKNOWN
    with pytest.raises(StoreError):
        store.publish([update("a")])
    store.publish([update("a")])
    assert store.lookup("a") == DONE
    assert len(caplog.records) == 2


def test_files_that_were_deleted_are_made_anew(store: LocalStore, tmp_path: Path) -> None:
    store.publish([update("a")])
    shutil.rmtree(files(tmp_path))

    def written_anew() -> bool:
        store.publish([update("b")])
        return files_are_there()

    def files_are_there() -> bool:
        return any((tmp_path / f"mod_progress-{os.geteuid()}").iterdir())

    eventually(written_anew)
    assert store.lookup("b") == DONE


@pytest.fixture
def _no_place(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Whatever place there is belongs to another user."""
    theirs = tmp_path / "theirs"
    theirs.mkdir()
    os.chown(theirs, 65534, -1)
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(theirs))
    monkeypatch.setattr(directory, "SHARED_MEMORY", str(theirs))
    monkeypatch.setattr(tempfile, "tempdir", str(theirs))


@pytest.mark.usefixtures("_no_place")
def test_without_a_safe_place_the_store_is_away_and_says_so_once(
    store: LocalStore, caplog: pytest.LogCaptureFixture
) -> None:
    for _ in range(3):
        assert store.lookup("a") == UNKNOWN
        assert store.lookup_many(["a", "b"]) == [UNKNOWN, UNKNOWN]
        with pytest.raises(StoreError, match="it belongs to another user"):
            page(store, Query())
        with pytest.raises(StoreError, match="it belongs to another user"):
            store.publish([update("a")])
    assert [record.levelno for record in caplog.records] == [logging.WARNING]


@pytest.fixture
def _no_working_directory(tmp_path: Path) -> Iterator[None]:
    before = Path.cwd()
    gone = tmp_path / "gone"
    gone.mkdir()
    os.chdir(gone)
    gone.rmdir()
    yield
    os.chdir(before)


@pytest.mark.usefixtures("_no_working_directory")
def test_without_a_working_directory_the_default_store_is_away(
    caplog: pytest.LogCaptureFixture,
) -> None:
    store = LocalStore()
    for _ in range(3):
        assert store.lookup("a") == UNKNOWN
        with pytest.raises(StoreError, match="was removed"):
            store.publish([update("a")])
    (record,) = caplog.records
    assert record.getMessage().startswith("store local: the working directory, which gives it")
    store.close()


@pytest.mark.usefixtures("_no_working_directory")
def test_a_named_store_needs_no_working_directory(store: LocalStore) -> None:
    store.publish([update("a")])
    assert store.lookup("a") == DONE


def test_values_that_are_no_entries_read_as_unknown_and_are_replaced(store: LocalStore) -> None:
    foreign = [b"", b"short", bytes(200), b"\xff" * _DETAILS]
    names = [f"foreign{number}" for number in range(len(foreign))]
    with store._open().writing(1.0) as transaction:
        for name, value in zip(names, foreign, strict=True):
            transaction.put(b"e" + name.encode(), value)
            transaction.put(b"t" + bytes(8) + name.encode(), b"")
    assert store.lookup_many(names) == [UNKNOWN] * 4
    assert [store.lookup(name) for name in names] == [UNKNOWN] * 4
    assert listed(store) == {}
    store.publish([update(name) for name in names])
    assert store.lookup_many(names) == [DONE] * 4


def test_a_lookup_raises_nothing_whatever_happens(
    store: LocalStore, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(*arguments: object) -> None:
        raise RuntimeError("nobody expected this")

    assert store.lookup("\ud800") == UNKNOWN
    monkeypatch.setattr(LocalStore, "_open", fail)
    for _ in range(3):
        assert store.lookup("a") == UNKNOWN
        assert store.lookup_many(["a", "b"]) == [UNKNOWN] * 2
        with pytest.raises(StoreError, match="it cannot be listed"):
            page(store, Query())
    assert len(caplog.records) == 3
    assert all(record.exc_info for record in caplog.records)


def test_files_that_can_neither_be_used_nor_deleted_are_a_fault_of_the_store(
    store: LocalStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*arguments: object) -> None:
        raise PermissionError

    monkeypatch.setattr(Path, "rename", fail)
    full = LocalStore("full", map_size=1 << 18)
    with pytest.raises(StoreError, match="it is full"):
        publish_many(full, 10_000)
    full.close()


@pytest.fixture
def small_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A file system of half a megabyte, such as a container's /dev/shm may be, but smaller."""
    place = tmp_path / "disk"
    place.mkdir()
    options = ["-t", "tmpfs", "-o", "size=512k,mode=700", "none"]
    subprocess.run(["mount", *options, place], check=True)
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(place))
    yield place
    subprocess.run(["umount", "--lazy", place], check=True)


def test_a_full_disk_is_an_error_and_no_crash(store: LocalStore, small_disk: Path) -> None:
    store.publish([update("a", ttl=300)])
    ballast = small_disk / "ballast"
    with pytest.raises(OSError, match="No space"):
        ballast.write_bytes(bytes(1 << 20))
    with pytest.raises(StoreError, match="No space"):
        publish_many(store, 5000)
    ballast.unlink()
    store.publish([update("b")])
    assert store.lookup("b") == DONE
    store.close()


_WRITER = """
import os, sys, time
from mod_progress.stores.lmdb.store import LocalStore
with LocalStore("test")._open().writing(1.0) as transaction:
    transaction.put(b"ehalf", b"written")
    print("writing", flush=True)
    time.sleep(60)
"""


@pytest.fixture
def writer(store: LocalStore) -> Iterator[subprocess.Popen[str]]:
    """Another process, in the middle of a transaction."""
    store.publish([update("a")])
    command = [sys.executable, "-c", _WRITER]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "writing\n"
        yield process
        process.kill()


def test_a_writer_that_crashes_leaves_nothing_half_done(
    store: LocalStore, writer: subprocess.Popen[str]
) -> None:
    writer.kill()
    writer.wait()
    store.publish([update("b")])
    assert [store.lookup(each) for each in ("a", "b", "half")] == [DONE, DONE, UNKNOWN]


def test_readers_do_not_wait_for_a_writer(store: LocalStore, writer: subprocess.Popen[str]) -> None:
    writer.send_signal(signal.SIGSTOP)
    assert store.lookup("a") == DONE


def test_a_writer_that_is_stopped_is_waited_for_a_second_and_said_once(
    store: LocalStore, writer: subprocess.Popen[str], caplog: pytest.LogCaptureFixture
) -> None:
    writer.send_signal(signal.SIGSTOP)
    with pytest.raises(StoreBusy):
        store.publish([update("b")], timeout=0.0)
    assert not caplog.records
    for _ in range(2):
        with pytest.raises(StoreError, match="does not finish writing"):
            store.publish([update("b")])
    assert len(caplog.records) == 1
    writer.kill()
    writer.wait()
    store.publish([update("b")])
    assert store.lookup("b") == DONE
    assert len(caplog.records) == 2


def test_a_fork_does_not_wait_for_a_writer_of_another_process(
    store: LocalStore, writer: subprocess.Popen[str]
) -> None:
    child = os.fork()
    if not child:
        os._exit(0 if store.lookup("a") == DONE else 1)
    assert os.waitpid(child, 0)[1] == 0


_READER = """
from mod_progress.stores.lmdb.store import LocalStore
transaction = LocalStore("test")._open().handle().begin()
print("reading", flush=True)
input()
"""


def test_the_slot_of_a_reader_that_died_is_freed(
    store: LocalStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(environments, "CHECK", 0.0)
    store.publish([update("a")])
    command = [sys.executable, "-c", _READER]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, text=True, stdin=pipe, stdout=pipe) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "reading\n"
        assert str(process.pid) in store._open().handle().readers()
        process.kill()
    store.publish([update("b")])
    assert str(process.pid) not in store._open().handle().readers()


def test_no_other_thread_forks_or_writes_during_a_slice_of_a_walk(store: LocalStore) -> None:
    """A fork closes the files, which a transaction of another thread does not survive."""
    store.publish([update("a")])
    environment = store._open()
    locked: list[bool] = []

    def lock() -> None:
        locked.append(environment._lock.acquire(blocking=False))
        if locked[-1]:
            environment._lock.release()

    for _ in range(2):
        with environment.walking():
            thread = threading.Thread(target=lock)
            thread.start()
            thread.join()
        lock()
    assert locked == [False, True] * 2
