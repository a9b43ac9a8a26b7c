from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

_CODE = """
import multiprocessing
import os
import sys
from mod_progress.process_end import close_at_end, notice_end

class Work:
    def __init__(self, name):
        self.name = name
        close_at_end(self)

    def close(self):
        if self.name == "bad":
            raise ValueError("nobody expected this")
        print(self.name, flush=True)

def child():
    global works
    notice_end()
    notice_end()
    works = [Work("bad"), Work("child")]

if __name__ == "__main__":
    works = [Work("bad"), Work("parent")] if sys.argv[1] == "exit" else []
    if sys.argv[1] != "exit":
        started = multiprocessing.get_context(sys.argv[1]).Process(target=child)
        started.start()
        started.join()
"""


@pytest.mark.parametrize(
    ("way", "said"), [("exit", "parent"), ("fork", "child"), ("spawn", "child")]
)
def test_what_lives_is_closed_however_the_process_ends(way: str, said: str, tmp_path: Path) -> None:
    (script := tmp_path / "works.py").write_text(_CODE)
    done = subprocess.run(
        [sys.executable, str(script), way], capture_output=True, text=True, timeout=60
    )
    # A child that was spawned runs the interpreter's exit functions too.
    assert (done.returncode, {*done.stdout.split()}) == (0, {said})
    assert "_close failed" in done.stderr
