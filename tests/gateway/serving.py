"""The real ``mod-progress serve``, started from a configuration file."""

from __future__ import annotations

import http.client
import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Protocol

from tests.gateway.running import PATIENCE, eventually

COMMAND = str(Path(sys.executable).with_name("mod-progress"))


class Serving:
    """A supervisor and its workers; what they log is in `log`."""

    def __init__(
        self,
        directory: Path,
        text: str,
        *flags: str,
        prefix: tuple[str, ...] = (),
        environment: Mapping[str, str] | None = None,
        descriptors: Sequence[int] = (),
    ) -> None:
        self.configuration = directory / "site.conf"
        self.configuration.write_text(text)
        self.process = subprocess.Popen(
            [*prefix, COMMAND, "serve", str(self.configuration), *flags],
            cwd=directory,
            # A table of its own.
            env=os.environ | {"XDG_RUNTIME_DIR": str(directory)} | dict(environment or {}),
            pass_fds=descriptors,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self.log: list[str] = []
        assert self.process.stderr is not None
        self._reader = threading.Thread(target=self._read, args=(self.process.stderr,))
        self._reader.start()
        assert self.process.stdout is not None
        self.url = self.process.stdout.readline().strip()
        assert self.url, self.log

    def _read(self, stderr: Any) -> None:
        for line in stderr:
            self.log.append(line.rstrip())

    @property
    def port(self) -> int:
        found = re.search(r":(\d+)/?$", self.url)
        assert found is not None
        return int(found[1])

    @property
    def workers(self) -> list[int]:
        children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children")
        return [int(pid) for pid in children.read_text().split()]

    def connect(self) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self.port), PATIENCE)

    def get(self, path: str) -> tuple[int, bytes]:
        """Ask on a connection of its own."""
        client = http.client.HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE)
        try:
            client.request("GET", path)
            answer = client.getresponse()
            return answer.status, answer.read()
        finally:
            client.close()

    def show(self, identifier: str) -> Any:
        return json.loads(self.get(f"/progress?X-Progress-ID={identifier}")[1])

    def signal(self, number: signal.Signals) -> None:
        self.process.send_signal(number)

    def said(self, text: str) -> bool:
        return any(text in line for line in self.log)

    @property
    def reloads(self) -> int:
        return sum("reloaded" in line and "not reloaded" not in line for line in self.log)

    def reload(self, text: str) -> None:
        """Change the configuration, and wait until it is in force."""
        before = self.reloads
        self.configuration.write_text(text)
        self.signal(signal.SIGHUP)
        eventually(lambda: self.reloads > before)

    def wait(self) -> int:
        code = self.process.wait(PATIENCE)
        self._reader.join()
        return code

    def stop(self) -> None:
        """End it, at once if need be."""
        for _ in range(2):
            with suppress(ProcessLookupError):
                self.signal(signal.SIGTERM)
            with suppress(subprocess.TimeoutExpired):
                self.process.wait(1)
        self.process.wait(PATIENCE)
        self._reader.join()
        for pipe in (self.process.stdout, self.process.stderr):
            assert pipe is not None
            pipe.close()


class Serve(Protocol):
    """Starts the real command with a configuration."""

    def __call__(
        self,
        text: str,
        *flags: str,
        prefix: tuple[str, ...] = (),
        environment: Mapping[str, str] | None = None,
        descriptors: Sequence[int] = (),
    ) -> Serving: ...
