from __future__ import annotations

import os
import signal
import subprocess
import sys

import pytest

from mod_progress import fork
from mod_progress.fault_log import FaultLog
from mod_progress.fork import for_each, renew_after_fork


class Renewed:
    def __init__(self, fails: bool = False) -> None:
        self.fails = fails
        self.times = 0
        renew_after_fork(self)

    def after_fork(self) -> None:
        self.times += 1
        if self.fails:
            raise ValueError("nobody expected this")


def test_one_that_fails_does_not_keep_the_others_from_their_turn(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fork, "_faults", FaultLog())
    instances = [Renewed(), Renewed(fails=True), Renewed()]
    for_each(instances, Renewed.after_fork)
    assert [each.times for each in instances] == [1, 1, 1]
    (record,) = caplog.records
    assert record.getMessage() == "Renewed.after_fork failed; this is logged once"


def test_every_instance_that_lives_is_renewed_in_a_child() -> None:
    instances = [Renewed(fails=number % 2 == 0) for number in range(6)]
    child = os.fork()
    if not child:
        renewed = all(each.times == 1 for each in instances)
        os.kill(os.getpid(), signal.SIGUSR1 if renewed else signal.SIGKILL)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal.SIGUSR1
    assert [each.times for each in instances] == [0] * 6
    assert all(each in fork._forkables for each in instances)


#: Forks with the hooks of Python and, as uWSGI does, without them. It has one thread.
FORKS = """
import ctypes, os, signal
from mod_progress.fork import ProcessNumber
number = ProcessNumber()
own = number.get()
for fork in os.fork, ctypes.PyDLL(None).fork:
    child = fork()
    if not child:
        other = number.get() not in (own, 0) and number.get() == number.get()
        os.kill(os.getpid(), signal.SIGUSR1 if other else signal.SIGKILL)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal.SIGUSR1
    assert number.get() == own
"""


def test_the_number_of_a_process_is_another_one_in_a_child() -> None:
    subprocess.run([sys.executable, "-c", FORKS], check=True, timeout=60)
