"""Whatever the supervisor's functions raise, it goes on, and SIGTERM ends it.

The functions of the real command are made to fail while it runs: see `failing`.
"""

from __future__ import annotations

import os
import resource
import signal
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.gateway.running import eventually
from tests.gateway.server.sites import site
from tests.gateway.serving import Serve, Serving


class Failing:
    """A command of which one function can be made to fail."""

    def __init__(self, serve: Serve, directory: Path, name: str, text: str = "") -> None:
        self._name = name
        self._faults = directory / "faults"
        self.heal()
        script = str(Path(__file__).with_name("failing.py"))
        prefix = (sys.executable, script, str(self._faults), name, "--")
        self.serving = serve(text or site(), prefix=prefix)
        eventually(lambda: len(self.serving.workers) == 2)
        assert self.answers()

    def fail(self, how: str = "raises") -> None:
        self._faults.write_text(f"{self._name} {how}")

    def heal(self) -> None:
        self._faults.write_text("")

    def answers(self) -> bool:
        return self.serving.get("/hello") == (200, b"one")


MakeFailing = Callable[..., Failing]


@pytest.fixture
def failing(serve: Serve, tmp_path: Path) -> MakeFailing:
    def make(name: str, text: str = "") -> Failing:
        return Failing(serve, tmp_path, name, text)

    return make


def count(serving: Serving, text: str) -> int:
    return sum(text in line for line in serving.log)


@pytest.mark.parametrize(
    "name",
    [
        "mod_progress.config.compiler.parse",
        "mod_progress.gateway.server.generation.bind",
        "os.pipe",
        "os.fork",
        "mod_progress.gateway.server.worker.serve",
    ],
)
def test_a_reload_that_fails_leaves_the_old_workers(failing: MakeFailing, name: str) -> None:
    command = failing(name)
    serving, before = command.serving, command.serving.workers
    serving.configuration.write_text(site(says="two").replace("127.0.0.1:0", "localhost:0"))
    command.fail()
    serving.signal(signal.SIGHUP)
    eventually(lambda: serving.said("not reloaded"))
    assert command.answers()
    assert set(before) & set(serving.workers)  # one that had not begun yet may have failed, too

    command.heal()
    serving.reload(site(says="three"))
    eventually(lambda: serving.get("/hello") == (200, b"three"))
    assert count(serving, "not reloaded") == 1
    serving.signal(signal.SIGTERM)
    assert serving.wait() == 0


def test_a_reload_is_finished_later(failing: MakeFailing) -> None:
    command = failing("os.read")
    serving = command.serving
    serving.configuration.write_text(site(says="two"))
    command.fail()
    serving.signal(signal.SIGHUP)
    eventually(lambda: serving.said("cannot hear whether workers serve"))
    assert serving.get("/hello")[0] == 200  # by a worker of either configuration
    command.heal()
    eventually(lambda: serving.reloads == 1)
    eventually(lambda: serving.get("/hello") == (200, b"two"))
    assert count(serving, "cannot hear whether workers serve") == 1


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("os.waitpid", "cannot look after workers that ended"),
        ("os.pipe", "cannot start a worker"),
        ("os.fork", "cannot start a worker"),
    ],
)
def test_a_worker_that_cannot_be_replaced_is_replaced_later(
    failing: MakeFailing, name: str, said: str
) -> None:
    command = failing(name)
    serving = command.serving
    command.fail()
    victim, left = serving.workers
    os.kill(victim, signal.SIGKILL)
    eventually(lambda: serving.said(said))
    assert command.answers()
    command.heal()
    eventually(lambda: len({*serving.workers} - {victim, left}) == 1)
    assert count(serving, said) == 1
    serving.signal(signal.SIGTERM)
    assert serving.wait() == 0


@pytest.mark.parametrize("name", ["os.fork", "os.pipe"])
def test_it_ends_while_no_worker_can_be_started(failing: MakeFailing, name: str) -> None:
    command = failing(name)
    serving = command.serving
    command.fail()
    for worker in serving.workers:
        os.kill(worker, signal.SIGKILL)
    eventually(lambda: not serving.workers and serving.said("cannot start a worker"))
    serving.signal(signal.SIGTERM)
    assert serving.wait() == 0


@pytest.mark.parametrize(
    ("name", "said"),
    [("os.kill", "cannot end workers"), ("os.waitpid", "cannot look after workers that ended")],
)
def test_an_end_that_fails_is_tried_again(failing: MakeFailing, name: str, said: str) -> None:
    command = failing(name)
    serving = command.serving
    command.fail()
    serving.signal(signal.SIGTERM)
    eventually(lambda: serving.said(said))
    command.heal()
    assert serving.wait() == 0


def test_it_ends_although_its_socket_cannot_be_removed(
    failing: MakeFailing, tmp_path: Path
) -> None:
    listen = f'listen "unix:{tmp_path}/socket";'
    text = site().replace('listen "127.0.0.1:0";', f'listen "127.0.0.1:0"; {listen}')
    command = failing("pathlib.Path.unlink", text)
    command.fail()
    command.serving.signal(signal.SIGTERM)
    assert command.serving.wait() == 0
    assert command.serving.said("cannot stop listening")


def test_it_ends_while_a_reload_waits_for_its_workers(failing: MakeFailing) -> None:
    command = failing("mod_progress.gateway.server.worker.serve")
    serving = command.serving
    command.fail("hangs")
    serving.signal(signal.SIGHUP)
    eventually(lambda: len(serving.workers) == 4)
    serving.signal(signal.SIGTERM)
    assert serving.wait() == 0
    assert not serving.said("reloaded")


def test_no_descriptor_is_left(serve: Serve) -> None:
    serving = serve(site())
    eventually(lambda: len(serving.workers) == 2)
    held = len(list(Path(f"/proc/{serving.process.pid}/fd").iterdir()))
    hard = resource.prlimit(serving.process.pid, resource.RLIMIT_NOFILE)[1]

    def limit(soft: int) -> None:
        resource.prlimit(serving.process.pid, resource.RLIMIT_NOFILE, (soft, hard))

    limit(held)
    serving.signal(signal.SIGHUP)
    eventually(lambda: serving.said("not reloaded"))
    victim = serving.workers[0]
    limit(held - 1)  # the pipe of the worker that dies is free then
    os.kill(victim, signal.SIGKILL)
    eventually(lambda: serving.said("cannot start a worker, trying again: [Errno 24]"))
    assert serving.get("/hello") == (200, b"one")
    limit(hard)
    eventually(lambda: len(serving.workers) == 2)
    assert count(serving, "cannot start a worker") == 1
    serving.reload(site(says="two"))
    serving.signal(signal.SIGTERM)
    assert serving.wait() == 0
