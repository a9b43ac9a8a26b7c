"""Real servers for the tests of stores, and how to wait for them."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from pathlib import Path

from mod_progress.stores.contract import Store
from mod_progress.stores.listing import MOST_LIMIT, Listing, Page, Query
from mod_progress.transfer import Snapshot
from tests.ports import free_port


def look(store: Store, identifier: str) -> Snapshot:
    """Look up, waiting for a store that is far away."""
    found = store.lookup(identifier)
    return found.result(timeout=10) if isinstance(found, Future) else found


def look_many(store: Store, identifiers: Sequence[str]) -> list[Snapshot]:
    """Look up several, waiting for a store that is far away."""
    found = store.lookup_many(identifiers)
    return found.result(timeout=10) if isinstance(found, Future) else found


def page(store: Store, query: Query) -> Page:
    """List, waiting for the walk over the entries."""
    assert isinstance(store, Listing)
    return store.page(query).result(timeout=20)


def listed(store: Store) -> dict[str, Snapshot]:
    """Return up to `MOST_LIMIT` entries of a store."""
    return {each.identifier: each.snapshot for each in page(store, Query(limit=MOST_LIMIT)).entries}


def eventually(condition: Callable[[], object], seconds: float = 30.0) -> None:
    """Wait until the condition holds."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it never came to hold"
        time.sleep(0.01)


class RedisServer:
    """A real server, on a port that it keeps over a restart. It keeps no data."""

    def __init__(self, directory: Path, *options: str, prefix: tuple[str, ...] = ()) -> None:
        self.port = free_port()
        self.prefix = prefix
        self.host = "127.0.0.1"
        self.socket = directory / f"{self.port}.sock"
        self._command = [
            *prefix,
            *("redis-server", "--port", str(self.port), "--dir", str(directory), "--save", ""),
            *("--unixsocket", str(self.socket), *options),
        ]
        self._log = directory / f"{self.port}.log"
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"redis://{self.host}:{self.port}"

    def start(self) -> None:
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(self._command, stdout=log, stderr=log)
        eventually(lambda: b"Ready to accept connections" in self._log.read_bytes())

    def kill(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def send(self, number: signal.Signals) -> None:
        assert self._process is not None
        os.kill(self._process.pid, number)

    def command(self, *words: str) -> str:
        done = subprocess.run(
            ["redis-cli", "-p", str(self.port), *words], check=True, capture_output=True, text=True
        )
        return done.stdout.strip()
