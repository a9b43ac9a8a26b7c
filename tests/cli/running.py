"""The command as a person runs it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

COMMAND = str(Path(sys.executable).with_name("mod-progress"))


def run(*words: str, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [COMMAND, *words], cwd=cwd, capture_output=True, text=True, timeout=60, check=False
    )


def assert_one_line(
    done: subprocess.CompletedProcess[str], code: int, said: str, program: str = "mod-progress: "
) -> None:
    """Assert that a command failed with one line that says this."""
    (line,) = done.stderr.splitlines()
    assert line.startswith(program)
    assert said in line
    assert (done.returncode, done.stdout) == (code, "")
