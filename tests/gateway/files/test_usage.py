from __future__ import annotations

import asyncio
import gc
import os
import signal
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from mod_progress.gateway.files import usage as module
from mod_progress.gateway.files.usage import Kind, Usage, count, usage_of
from tests.gateway.running import eventually

InChild = Callable[[Callable[[], object]], int]


def totals(usage: Usage) -> tuple[int, int]:
    return usage.total(Kind.BYTES), usage.total(Kind.FILES)


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Count again at once, however long the last count took."""
    monkeypatch.setattr(module, "_BACK_OFF", 0)


@pytest.fixture
def in_child() -> Iterator[InChild]:
    """Do something in a process of its own; it lives until it is killed."""
    pids: list[int] = []

    def start(work: Callable[[], object]) -> int:
        ready, done = os.pipe()
        pid = os.fork()
        if not pid:
            with suppress(BaseException):
                work()
                os.write(done, b"1")
                signal.pause()
            os._exit(1)
        pids.append(pid)
        os.close(done)
        with os.fdopen(ready, "rb") as pipe:
            assert pipe.read(1) == b"1"
        return pid

    yield start
    for pid in pids:
        with suppress(ProcessLookupError):
            end(pid)


def end(pid: int) -> None:
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)


def test_files_below_a_directory_are_counted_without_parts_and_links(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"12345")
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "b").write_bytes(b"123")
    (tmp_path / ".upload-0123456789abcdef.part").write_bytes(b"1234567")
    (tmp_path / "up").symlink_to("..")
    (tmp_path / "elsewhere").symlink_to("/usr")
    assert count(str(tmp_path)) == (8, 2)
    assert count(str(tmp_path / "none")) == (0, 0)


def test_it_is_counted_once_and_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a").write_bytes(b"12345")
    usage = Usage(str(tmp_path))

    async def use() -> None:
        await usage.first_count()
        with monkeypatch.context() as patch:
            patch.setattr(module, "count", None)  # counting fails
            await asyncio.gather(*[usage.first_count() for _ in range(9)])
            usage.keep_fresh()
            assert totals(usage) == (5, 1)
            assert usage.reserve(Kind.BYTES, 3, 10)
            assert not usage.reserve(Kind.BYTES, 3, 10)
            usage.release(Kind.BYTES, 3, saved=2)
            assert totals(usage) == (7, 1)
        (tmp_path / "a").unlink()
        await usage.refresh(0)
        assert totals(usage) == (0, 0)

    asyncio.run(use())


def test_what_is_saved_during_a_count_is_not_lost(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = Usage(str(tmp_path))

    def count_slowly(directory: str) -> tuple[int, int]:
        usage.release(Kind.BYTES, 0, saved=7)
        return 100, 1

    monkeypatch.setattr(module, "count", count_slowly)
    asyncio.run(usage.first_count())
    assert totals(usage) == (107, 1)


def test_a_count_that_fails_is_told_once_and_made_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    usage = Usage(str(tmp_path))

    def fail(directory: str) -> tuple[int, int]:
        raise RuntimeError("unexpected")

    async def renew() -> None:
        usage.keep_fresh()
        while usage._counting is not None and not usage._counting.done():
            await asyncio.sleep(0)

    asyncio.run(usage.first_count())
    monkeypatch.setattr(module, "RENEW", 0)
    for _ in range(3):
        with monkeypatch.context() as patch:
            patch.setattr(module, "count", fail)
            asyncio.run(renew())
    assert caplog.text.count("could not be counted") == 1
    (tmp_path / "a").write_bytes(b"12")
    asyncio.run(renew())
    assert totals(usage) == (2, 1)


def test_processes_share_the_numbers_and_the_dead_give_theirs_back(
    tmp_path: Path, in_child: InChild
) -> None:
    usage = Usage(str(tmp_path))
    asyncio.run(usage.first_count())
    assert usage.reserve(Kind.FILES, 1, 9)
    pids = [in_child(lambda: usage.reserve(Kind.FILES, 2, 9)) for _ in range(3)]
    assert usage.total(Kind.FILES) == 7
    assert not usage.reserve(Kind.FILES, 3, 9)
    end(pids[0])
    assert usage.total(Kind.FILES) == 7  # until somebody takes the place, or counts
    asyncio.run(usage.refresh(0))
    assert usage.total(Kind.FILES) == 5
    end(pids[1])
    in_child(lambda: usage.reserve(Kind.FILES, 1, 9))
    assert usage.total(Kind.FILES) == 4


def test_a_process_that_dies_inside_the_lock_locks_nobody_out(
    tmp_path: Path, in_child: InChild
) -> None:
    usage = Usage(str(tmp_path))

    lock = usage._locked()
    end(in_child(lock.__enter__))
    assert usage.reserve(Kind.FILES, 1, 1)


def test_a_directory_has_one_usage_as_long_as_somebody_needs_it(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path / "a")
    usage = usage_of(str(tmp_path / "a"))
    assert usage_of(str(tmp_path / "link")) is usage
    file = usage._file
    del usage
    gc.collect()
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(file)


def test_a_count_takes_no_turn_of_others(tmp_path: Path) -> None:
    """The loop goes on while the directory is walked through."""
    usage = Usage(str(tmp_path))
    turns = 0

    async def use() -> None:
        nonlocal turns
        counting = asyncio.ensure_future(usage.first_count())
        while not counting.done():
            turns += 1
            await asyncio.sleep(0)

    asyncio.run(use())
    assert turns > 1
    eventually(lambda: totals(usage) == (0, 0))
