"""Every example runs by the commands in its docstring."""

import ast
import contextlib
import json
import os
import shlex
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[1]
EXAMPLES = sorted((ROOT / "examples").glob("*.py"))
DEADLINE = 60
SIZE = 1_000_000


def commands(example: Path, port: int, file: Path) -> list[list[str]]:
    """Return what the docstring says to type, for this port and this file: start, send, look."""
    text = ast.get_docstring(ast.parse(example.read_text())) or ""
    text = text.replace("8000", str(port)).replace("big.iso", str(file)).replace("1M", "100M")
    lines = [line for line in text.splitlines() if line.startswith("    ")]
    return [shlex.split(line.removesuffix("&")) for line in lines]


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port


def run(command: list[str]) -> str:
    return subprocess.run([*command, "--silent"], capture_output=True, text=True).stdout


def wait_for(look: list[str], state: str) -> dict[str, Any]:
    """Look until the answer has this state; return it."""
    deadline = time.monotonic() + DEADLINE
    while True:
        with contextlib.suppress(json.JSONDecodeError):  # no answer yet
            answer: dict[str, Any] = json.loads(run(look))
            if answer["state"] == state:
                return answer
        assert time.monotonic() < deadline
        time.sleep(0.05)


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.stem)
def test_an_example(example: Path, tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_bytes(bytes(SIZE))
    (program, *arguments), send, look = commands(example, free_port(), file)
    environment = {**os.environ, "XDG_RUNTIME_DIR": str(tmp_path)}
    command = [str(Path(sys.executable).with_name(program)), *arguments]
    with subprocess.Popen(command, cwd=ROOT, env=environment, stderr=subprocess.DEVNULL) as server:
        try:
            wait_for(look, "unknown")
            assert str(SIZE) in run(send)
            done = wait_for(look, "done")
        finally:
            server.terminate()
    assert done["received"] == done["request_size"] >= SIZE
