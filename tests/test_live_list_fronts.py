"""Real servers push the list of all transfers, and end while somebody watches it."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlencode

import httpx
import pytest

from tests.gateway.running import eventually
from tests.ports import free_port
from tests.servers.running import stop
from tests.servers.watcher import ACCEPT, Watcher
from tests.stores.store_servers import RedisServer

BIN = Path(sys.executable).parent

#: Seconds: longer than a busy machine takes to start a server.
START = 60.0

SITE = """
setup {{ module_load ("mod_progress", "mod_access"); listen "127.0.0.1:{port}"; workers 2; }}
progress.methods ("GET", "POST");
if req.path =^ "/all" {{
    if req.header["Token"] == "let-me" {{ progress.dashboard "cancel"; }} else {{ access.deny; }}
}}
else if req.path == "/progress" {{ progress.show; }}
else {{ progress.track; upload.store "uploads"; }}
"""

APPS = {
    "asgi_app.py": """
from mod_progress.asgi import ProgressMiddleware

async def read(scope, receive, send):
    while (await receive()).get("more_body"):
        pass
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"ok"})

def permit(scope):
    return dict(scope["headers"]).get(b"token") == b"let-me"

app = ProgressMiddleware(
    read, dump=permit, cancel=permit, dashboard="/all/", methods=["GET", "POST"]
)
""",
    "wsgi_app.py": """
from mod_progress.wsgi import ProgressMiddleware

def read(environ, start_response):
    while environ["wsgi.input"].read(1024):
        pass
    start_response("200 OK", [])
    return [b"ok"]

def permit(environ):
    return environ.get("HTTP_TOKEN") == "let-me"

app = ProgressMiddleware(
    read, dump=permit, cancel=permit, dashboard="/all/", methods=["GET", "POST"]
)
""",
}

COMMANDS = {
    "gateway": "mod-progress serve site.conf --store-url {redis}",
    "uvicorn": "uvicorn --port {port} --workers 2 asgi_app:app",
    "gunicorn-gevent": "gunicorn --bind 127.0.0.1:{port} -w 2 -k gevent wsgi_app:app",
}

PERMITTED = {"Token": "let-me"}

#: Bytes that are sent at a time: gunicorn hands on pieces of 1024.
PART = 100 * 1024


class Running(NamedTuple):
    """A server, and how it is ended."""

    port: int
    process: subprocess.Popen[bytes]

    def ask(self, method: str, path: str, **fields: str) -> httpx.Response:
        url = f"http://127.0.0.1:{self.port}{path}"
        return httpx.request(method, url, headers=fields, timeout=START, trust_env=False)

    def answers(self) -> bool:
        with suppress(httpx.TransportError):
            return self.ask("GET", "/progress?X-Progress-ID=a").status_code == 200
        return False


@contextmanager
def serving(name: str, directory: Path) -> Iterator[Running]:
    with ExitStack() as stack:
        port = free_port()
        redis = RedisServer(directory, "--bind", "127.0.0.1")
        if name == "gateway":
            redis.start()
            stack.callback(redis.kill)
        (directory / "site.conf").write_text(SITE.format(port=port))
        for file, text in APPS.items():
            (directory / file).write_text(text)
        command, *arguments = COMMANDS[name].format(port=port, redis=redis.url).split()
        process = subprocess.Popen(
            [BIN / command, *arguments],
            cwd=directory,
            env={**os.environ, "PYTHONPATH": ".", "XDG_RUNTIME_DIR": str(directory)},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        stack.callback(stop, process)
        running = Running(port, process)
        eventually(running.answers, START)
        yield running


class ListWatcher(Watcher):
    """Keeps the list by what the events say."""

    #: Whether it does not come back when a stream has ended.
    leaves = False

    def _run(self) -> None:
        """Come back where a stream ends by itself."""
        with suppress(httpx.TransportError):  # a server that ends may cut the stream
            while not self.leaves:
                with self._client.stream("GET", self._url, headers=self._fields) as response:
                    assert response.status_code == 200
                    for data in response.iter_raw():
                        self.source.feed(data)
        self.ended = True

    def __exit__(self, *error: object) -> None:
        self.leaves = True
        super().__exit__(*error)

    @property
    def rows(self) -> list[dict[str, Any]]:
        rows: dict[str, dict[str, Any]] = {}
        for event in list(self.source.events):
            said = event.json()
            rows = {} if event.name == "list" else rows
            for number, members in said["rows"].items():
                rows.setdefault(number, {}).update(members)
            for number in said["gone"]:
                del rows[str(number)]
        return list(rows.values())

    def await_row(self, **members: object) -> dict[str, Any]:
        """Wait for a row that has these members."""
        found: list[dict[str, Any]] = []

        def look() -> bool:
            found[:] = [row for row in self.rows if members.items() <= row.items()]
            return bool(found)

        eventually(look, START)
        return found[0]


@contextmanager
def uploading(running: Running, path: str) -> Iterator[socket.socket]:
    """Send the head of an upload of ten parts, and the first of them."""
    with socket.create_connection(("127.0.0.1", running.port), START) as client:
        head = f"POST {path}?X-Progress-ID=id-of-{path[1:]} HTTP/1.1\r\nHost: a\r\n"
        client.sendall(f"{head}Content-Length: {10 * PART}\r\n\r\n".encode() + bytes(PART))
        yield client


@pytest.mark.parametrize("name", COMMANDS)
def test_the_list_is_pushed_and_holds_no_server_up(name: str, tmp_path: Path) -> None:
    with serving(name, tmp_path) as running:
        url = f"http://127.0.0.1:{running.port}/all/dump"
        assert running.ask("GET", "/all/dump", **ACCEPT).status_code == 403
        watcher = ListWatcher(url, fields={**ACCEPT, **PERMITTED, "X-Progress-ID": "itself"})
        with watcher:
            # Either worker may have it.
            with uploading(running, "/first") as first, uploading(running, "/second") as second:
                row = watcher.await_row(path="/first", received=PART)
                watcher.await_row(path="/second", received=PART)
                first.sendall(bytes(2 * PART))
                watcher.await_row(path="/first", received=3 * PART, state="running")
                named = urlencode({"id": row["id"], "started": row["started"]})
                place = f"/all/dump?{named}"
                assert running.ask("DELETE", place).status_code == 403
                assert running.ask("DELETE", place, **PERMITTED).status_code in (202, 204)
                watcher.await_row(path="/first", state="error", status=0)
                second.sendall(bytes(9 * PART))
                assert second.recv(1000)
                watcher.await_row(path="/second", state="done")
            # The stream itself is in no number.
            assert {row["path"] for row in watcher.rows} == {"/first", "/second"}
            total = json.loads(watcher.source.events[-1].data)["total"]
            assert total == 2
            # A worker that was told to end before anybody watched there does not know it.
            watcher.leaves = True
            running.process.terminate()
            assert running.process.wait(START) in (0, -15)
            eventually(lambda: watcher.ended, START)
