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

import pytest

ROOT = Path(__file__).parents[1]
EXAMPLES = sorted((ROOT / "examples").glob("*.py"))
DEADLINE = 20
SIZE = 1_000_000


def commands(example, port, file):
    """Return what the docstring says to type, for this port and this file: start, send, look."""
    text = ast.get_docstring(ast.parse(example.read_text()))
    text = text.replace("8000", str(port)).replace("big.iso", str(file)).replace("1M", "100M")
    lines = [line for line in text.splitlines() if line.startswith("    ")]
    return [shlex.split(line.removesuffix("&")) for line in lines]


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return listener.getsockname()[1]


def run(command):
    return subprocess.run([*command, "--silent"], capture_output=True, text=True).stdout


def wait_for(look, state):
    """Look until the answer has this state; return it."""
    deadline = time.monotonic() + DEADLINE
    while True:
        with contextlib.suppress(json.JSONDecodeError):  # no answer yet
            answer = json.loads(run(look))
            if answer["state"] == state:
                return answer
        assert time.monotonic() < deadline
        time.sleep(0.05)


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.stem)
def test_an_example(example, tmp_path):
    file = tmp_path / "file"
    file.write_bytes(bytes(SIZE))
    (program, *arguments), send, look = commands(example, free_port(), file)
    environment = {**os.environ, "XDG_RUNTIME_DIR": str(tmp_path)}
    command = [Path(sys.executable).with_name(program), *arguments]
    with subprocess.Popen(command, cwd=ROOT, env=environment, stderr=subprocess.DEVNULL) as server:
        try:
            wait_for(look, "unknown")
            assert str(SIZE) in run(send)
            done = wait_for(look, "done")
        finally:
            server.terminate()
    assert done["received"] == done["request_size"] >= SIZE
