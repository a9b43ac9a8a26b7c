"""Real machines that lack what the local store usually finds, and containers that share a place."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

#: In a mount namespace of its own, with nothing but what the test mounts to write to.
READ_ONLY_ROOT = "mount --make-rprivate / && mount -o remount,ro,bind /"
WRITABLE_MEMORY = "mount -t tmpfs -o mode=1777 none /dev/shm"
READ_ONLY_MEMORY = "mount -t tmpfs -o ro,mode=1777 none /dev/shm"

_TRACK = """
import logging, os, subprocess, sys
from mod_progress.stores import open_store
from mod_progress.tracker import Tracker
logging.basicConfig(stream=sys.stdout, format="%(message)s")
tracker = Tracker(store=open_store("local"))
transfer = tracker.track("POST", b"X-Progress-ID=a", None, 1000)
transfer.received = 10
for _ in range(3):
    print(tracker.look("a").state, tracker.look("other").state)
sys.stdout.flush()
subprocess.run([sys.executable, "-c", sys.argv[1]], check=True)
"""

_SEEN_ELSEWHERE = """
from mod_progress.stores import open_store
print("elsewhere", open_store("local").lookup("a").state)
"""


def run(mounts: str, environment: dict[str, str]) -> list[str]:
    """Track a transfer, and look it up here and in another process; return what was printed."""
    command = ["unshare", "--mount", "sh", "-c", f'{mounts} && exec "$@"', "sh"]
    done = subprocess.run(
        [*command, sys.executable, "-B", "-c", _TRACK, _SEEN_ELSEWHERE],
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout.splitlines()


def test_a_root_that_is_read_only_leaves_shared_memory() -> None:
    assert run(f"{READ_ONLY_ROOT} && {WRITABLE_MEMORY}", {}) == [
        *["running unknown"] * 3,
        "elsewhere running",
    ]


def test_without_any_place_each_process_answers_from_its_own_table(tmp_path: Path) -> None:
    """Neither memory nor the temporary directory is safe."""
    tmp_path.chmod(0o777)
    lines = run(READ_ONLY_MEMORY, {"TMPDIR": str(tmp_path)})
    assert [line for line in lines if not line.startswith("store local:")] == [
        *["running unknown"] * 3,
        "elsewhere unknown",
    ]
    assert len(lines) == 5
    assert "/dev/shm: Read-only file system" in lines[0]


_HOLD = """
import sys
from mod_progress.stores import open_store
from mod_progress.stores.contract import Update
from mod_progress.transfer import Snapshot, State
store = open_store("local:pod")
store.publish([Update(sys.argv[1], 1, Snapshot(State.RUNNING, 7), 30.0, True)])
print(*[store.lookup(each).received for each in ("one", "two")], flush=True)
input()
"""


class Container:
    """A process in a PID namespace of its own, which publishes a transfer of its name and waits."""

    def __init__(self, name: str) -> None:
        command = ["unshare", "--pid", "--fork", "--kill-child", "--mount-proc", sys.executable]
        self._process = subprocess.Popen(
            [*command, "-c", _HOLD, name],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self._process.stdout is not None
        self.line = self._process.stdout.readline().strip()

    def end(self) -> None:
        self._process.communicate("\n", timeout=10)
        assert self._process.returncode == 0


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """What the containers of one pod have in common."""
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    return tmp_path


def test_containers_with_a_place_in_common_use_files_of_their_own(place: Path) -> None:
    one, two = Container("one"), Container("two")
    assert [one.line, two.line] == ["7 0", "0 7"]
    (private,) = place.iterdir()
    assert len([*private.iterdir()]) == 2
    one.end()
    two.end()


def test_the_files_of_a_container_that_ended_are_removed_by_the_next(place: Path) -> None:
    for _ in range(3):
        container = Container("one")
        (private,) = place.iterdir()
        assert len([*private.iterdir()]) == 1
        container.end()
