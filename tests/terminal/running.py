"""The commands as they run, in pipes and in a terminal; and uploads that a test sends itself."""

from __future__ import annotations

import os
import shlex
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO
from urllib.request import urlopen

from tests.cli.running import COMMAND
from tests.doctor.running import running as running_server
from tests.gateway.running import PATIENCE, eventually
from tests.ports import free_port

#: Bytes of an upload that a test sends itself.
SIZE = 1_000_000


class Command:
    """A command whose output goes into pipes."""

    def __init__(self, *words: str, stdin: int | None = subprocess.DEVNULL) -> None:
        self.process = subprocess.Popen(
            [COMMAND, *words], stdin=stdin, stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )
        self.output: list[str] = []
        self.errors: list[str] = []
        self._readers = [
            threading.Thread(target=self._read, args=pair)
            for pair in ((self.process.stdout, self.output), (self.process.stderr, self.errors))
        ]
        for reader in self._readers:
            reader.start()

    @staticmethod
    def _read(pipe: IO[bytes], lines: list[str]) -> None:
        with pipe:
            lines.extend(line.decode().removesuffix("\n") for line in pipe)

    @property
    def text(self) -> str:
        """The output until now."""
        return "\n".join(self.output)

    def said(self, text: str) -> bool:
        """Whether the output has this text."""
        return text in self.text

    def await_line(self, text: str) -> None:
        eventually(lambda: self.said(text) or self.process.poll() is not None, 3 * PATIENCE)
        assert self.said(text), (self.output, self.errors)

    def wait(self) -> int:
        code = self.process.wait(3 * PATIENCE)
        for reader in self._readers:
            reader.join()
        return code


@contextmanager
def command(*words: str, stdin: int | None = subprocess.DEVNULL) -> Iterator[Command]:
    started = Command(*words, stdin=stdin)
    try:
        yield started
    finally:
        if started.process.stdin is not None:
            started.process.stdin.close()
        started.process.kill()
        started.wait()


class Upload:
    """An upload of SIZE bytes, of which the test says when the next ones go out."""

    def __init__(self, port: int, identifier: str, path: str = "/upload") -> None:
        self._socket = socket.create_connection(("127.0.0.1", port), PATIENCE)
        self.left = SIZE
        head = f"POST {path} HTTP/1.1\r\nHost: h\r\nX-Progress-ID: {identifier}\r\n"
        head += "Connection: close\r\n"
        self._socket.sendall(f"{head}Content-Length: {SIZE}\r\n\r\n".encode())

    def send(self, amount: int) -> None:
        self._socket.sendall(bytes(amount))
        self.left -= amount

    def finish(self) -> bytes:
        """Send the rest, and return the answer."""
        self.send(self.left)
        answer = b"".join(iter(lambda: self._socket.recv(65536), b""))
        self.close()
        return answer

    def close(self) -> None:
        self._socket.close()


@contextmanager
def uploading(port: int, identifier: str, path: str = "/upload") -> Iterator[Upload]:
    upload = Upload(port, identifier, path)
    try:
        yield upload
    finally:
        upload.close()


@contextmanager
def serving(app: str, directory: Path, *options: str) -> Iterator[int]:
    """Serve an app of `tests.terminal.apps`; yield its port."""
    port = free_port()
    words = [sys.executable, "-m", "uvicorn", "--port", str(port), "--log-level", "warning"]
    with running_server([*words, *options, f"tests.terminal.apps:{app}"], port, directory):
        yield port
        # The server ends when it has answered what it has.
        release(port)


def release(port: int) -> None:
    """Let the app go on with what it holds."""
    with urlopen(f"http://127.0.0.1:{port}/release", b"") as answer:
        assert answer.status == 201


class Terminal:
    """A terminal in which a command runs."""

    def __init__(self, directory: Path, words: Sequence[str], columns: int, lines: int) -> None:
        self._socket = str(directory / "tmux")
        self._code = directory / "code"
        # The size is that of the terminal, not that of the one where the tests run.
        kept = {name: os.environ[name] for name in os.environ.keys() - {"COLUMNS", "LINES"}}
        self._environment = {**kept, "TERM": "screen-256color", "LC_ALL": "C.UTF-8"}
        run = f"{shlex.join([COMMAND, *words])}; echo $? > {shlex.quote(str(self._code))}; cat"
        size = ["-x", str(columns), "-y", str(lines)]
        self._run("-f", "/dev/null", "new-session", "-d", *size, run)

    def _run(self, *words: str) -> str:
        return subprocess.run(
            ["tmux", "-u", "-S", self._socket, *words],
            env=self._environment,
            check=True,
            capture_output=True,
            text=True,
        ).stdout

    @property
    def screen(self) -> str:
        return self._run("capture-pane", "-p").rstrip()

    @property
    def has_cursor(self) -> bool:
        return self._run("display-message", "-p", "#{cursor_flag}").strip() == "1"

    def type(self, keys: str) -> None:
        self._run("send-keys", keys)

    def resize(self, columns: int, lines: int) -> None:
        self._run("resize-window", "-x", str(columns), "-y", str(lines))

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to the command."""
        shell = int(self._run("display-message", "-p", "#{pane_pid}"))
        children = Path(f"/proc/{shell}/task/{shell}/children").read_text().split()
        os.kill(int(children[0]), number)

    def await_text(self, *texts: str) -> None:
        """Wait until all texts are on the screen."""
        eventually(lambda: all(text in self.screen for text in texts), 3 * PATIENCE)

    def wait(self) -> int:
        """Return the exit code of the command."""
        eventually(lambda: self._code.exists() and self._code.read_text(), 3 * PATIENCE)
        return int(self._code.read_text())

    def close(self) -> None:
        self._run("kill-server")


@contextmanager
def terminal(
    directory: Path, *words: str, columns: int = 80, lines: int = 24
) -> Iterator[Terminal]:
    started = Terminal(directory, words, columns, lines)
    try:
        yield started
    finally:
        started.close()
