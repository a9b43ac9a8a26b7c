"""A real gateway for a test: one worker in a process of its own, on a free port."""

from __future__ import annotations

import gc
import http.client
import json
import multiprocessing
import os
import signal
import socket
import ssl
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import uvloop

from mod_progress.gateway.server import worker
from mod_progress.gateway.server.site import Site
from mod_progress.stores.contract import Store
from mod_progress.tracker import Tracker
from tests.gateway.standing_clock import StandingClock

#: Seconds after which a test that waits gives up.
PATIENCE = 30.0


def eventually(condition: Callable[[], object], seconds: float = PATIENCE) -> None:
    """Wait until the condition holds."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it never came to hold"
        time.sleep(0.005)


class Response(NamedTuple):
    """A whole answer; the names of its headers are in lower case."""

    status: int
    headers: dict[str, str]
    body: bytes

    def json(self) -> Any:
        return json.loads(self.body)


class Gateway:
    """A worker that serves a site.

    ``tls`` makes its listener one for TLS; with a ``clock`` its time is that of the test.
    """

    def __init__(
        self,
        site: Site,
        tls: ssl.SSLContext | None = None,
        store: Store | None = None,
        clock: StandingClock | None = None,
    ) -> None:
        self.listening = socket.create_server(("127.0.0.1", 0))
        self.port: int = self.listening.getsockname()[1]
        self.tls = tls
        self._clock = clock
        lifeline, self._life = os.pipe()
        ready, serving = os.pipe()
        self.process = multiprocessing.get_context("fork").Process(
            target=self._work, args=(site, Tracker(site.options, store), serving, lifeline)
        )
        self.process.start()
        for descriptor in (lifeline, serving):
            os.close(descriptor)
        self.listening.close()
        with os.fdopen(ready, "rb") as started:
            assert started.read(1), "the worker did not start"

    def _work(self, site: Site, tracker: Tracker, serving: int, lifeline: int) -> None:
        gc.freeze()  # else the first collection copies the memory of all tests before this one
        os.close(self._life)
        if self._clock is not None:
            pytest.MonkeyPatch().setattr(uvloop, "new_event_loop", self._clock.new_event_loop)
        worker.serve(site, tracker, [(self.listening, self.tls)], serving, lifeline)

    @property
    def pid(self) -> int:
        assert self.process.pid is not None
        return self.process.pid

    @property
    def descriptors(self) -> set[str]:
        """What the worker holds open, without its sockets and pipes."""
        held = set()
        for entry in Path(f"/proc/{self.pid}/fd").iterdir():
            try:
                held.add(str(entry.readlink()))
            except FileNotFoundError:
                continue
        return {name for name in held if name.startswith(("/", "memfd"))}

    def connect(self) -> socket.socket:
        """Open a connection, in TLS where the gateway speaks it."""
        plain = socket.create_connection(("127.0.0.1", self.port), PATIENCE)
        if self.tls is None:
            return plain
        trusting = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        trusting.check_hostname = False
        trusting.verify_mode = ssl.CERT_NONE
        return trusting.wrap_socket(plain)

    def request(
        self, method: str, path: str, body: Any = None, headers: Mapping[str, str] | None = None
    ) -> Response:
        """Ask on a connection of its own; a body that is an iterable goes out chunked."""
        client = http.client.HTTPConnection("127.0.0.1", self.port)
        client.sock = self.connect()
        try:
            client.request(method, path, body, dict(headers or {}))
            answer = client.getresponse()
            fields = {name.lower(): value for name, value in answer.getheaders()}
            whole = Response(answer.status, fields, answer.read())
            if isinstance(client.sock, ssl.SSLSocket):
                client.sock.unwrap()
            return whole
        finally:
            client.close()

    def exchange(self, sent: bytes) -> bytes:
        """Send bytes, and return all that comes until the gateway closes."""
        with self.connect() as client:
            client.sendall(sent)
            return b"".join(iter(lambda: client.recv(65536), b""))

    def show(self, identifier: str) -> Any:
        """Ask how far a transfer is, where the site has a show at /progress."""
        return self.request("GET", f"/progress?X-Progress-ID={identifier}").json()

    def stop(self) -> None:
        """End the worker, if nobody has; what it still serves is cut."""
        if self._life < 0:
            return
        if self.process.is_alive():
            os.kill(self.pid, signal.SIGTERM)
        self.process.join(PATIENCE)
        os.close(self._life)
        self._life = -1
        clean = self.process.exitcode == 0
        if self.process.is_alive():
            self.process.kill()
            self.process.join()
        assert clean, f"the worker ended with {self.process.exitcode}"
