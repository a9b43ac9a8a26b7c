"""What works on macOS and on Windows, as docs/systems.md says: Linux's parts are taken away."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any
from urllib.request import Request, urlopen

import pytest

from tests.gateway.running import eventually
from tests.systems.apps import SIZE

ROOT = Path(__file__).parents[2]
SYSTEMS = ("darwin", "win32")
PATIENCE = 30

#: What the memory store stands in for, where there is no local store.
NO_LOCAL_STORE = "store: 'local' is not there on this system"


def as_on(system: str, *program: str) -> list[str]:
    return [sys.executable, "-m", "tests.systems.other_system", system, *program]


def run(
    system: str, *arguments: str, stdin: IO[bytes] | None = None
) -> subprocess.CompletedProcess[str]:
    """Run the command line."""
    return subprocess.run(
        as_on(system, "mod_progress", *arguments),
        cwd=ROOT,
        stdin=stdin,
        capture_output=True,
        text=True,
        timeout=2 * PATIENCE,
    )


@contextmanager
def serving(system: str, front: str, folder: Path, store: str = "") -> Iterator[int]:
    """Serve the app of a front; yield the port. What the server says is in the file ``said``."""
    places = {"TMPDIR": str(folder), "XDG_RUNTIME_DIR": "", **({"STORE": store} if store else {})}
    with (
        (folder / "said").open("w") as said,
        subprocess.Popen(
            as_on(system, "tests.systems.apps", front),
            cwd=ROOT,
            env=os.environ | places,
            stdout=subprocess.PIPE,
            stderr=said,
            text=True,
        ) as process,
    ):
        try:
            assert process.stdout is not None
            line = process.stdout.readline()
            assert line, (folder / "said").read_text()
            yield int(line)
        finally:
            process.kill()


def show(port: int, identifier: str) -> Any:
    url = f"http://127.0.0.1:{port}/progress?X-Progress-ID={identifier}"
    with urlopen(url, timeout=PATIENCE) as answer:
        return json.load(answer)


def upload(port: int, identifier: str) -> None:
    """Upload 2,000 bytes in two halves, and look after each."""
    head = f"POST /?X-Progress-ID={identifier} HTTP/1.1\r\nHost: a\r\nContent-Length: 2000\r\n\r\n"
    with socket.create_connection(("127.0.0.1", port), PATIENCE) as client:
        client.sendall(head.encode() + bytes(1000))
        eventually(lambda: show(port, identifier).get("received") == 1000, PATIENCE)
        assert show(port, identifier)["state"] == "running"
        client.sendall(bytes(1000))
        eventually(lambda: show(port, identifier)["state"] == "done", PATIENCE)
        assert show(port, identifier)["received"] == show(port, identifier)["request_size"] == 2000


def download_unread(port: int, identifier: str) -> None:
    """Ask for more than the client's system takes, and read nothing."""
    with socket.socket() as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1)  # the least that there is
        client.connect(("127.0.0.1", port))
        client.sendall(f"GET /?X-Progress-ID={identifier} HTTP/1.1\r\nHost: a\r\n\r\n".encode())
        eventually(lambda: show(port, identifier)["state"] == "done", PATIENCE)
    assert show(port, identifier)["sent"] == SIZE


@pytest.mark.parametrize(
    ("system", "front", "store"),
    [
        ("darwin", "asgi", "memory"),
        ("darwin", "wsgi", ""),
        ("win32", "asgi", ""),
        ("win32", "wsgi", "memory"),
    ],
)
def test_a_middleware_counts(system: str, front: str, store: str, tmp_path: Path) -> None:
    with serving(system, front, tmp_path, store) as port:
        upload(port, "up")
        download_unread(port, "down")
    said = (tmp_path / "said").read_text()
    if system == "win32" and not store:
        assert said.startswith(NO_LOCAL_STORE)
        assert len(said.splitlines()) == 1
    else:
        assert said == ""


def test_the_local_store_of_macos_is_in_the_temporary_directory(tmp_path: Path) -> None:
    with serving("darwin", "wsgi", tmp_path) as port:
        upload(port, "up")
        eventually(lambda: list(tmp_path.glob(f"mod_progress-{os.geteuid()}/*")), PATIENCE)


@pytest.mark.parametrize("system", SYSTEMS)
def test_the_terminal_uploads_and_watches(system: str, tmp_path: Path) -> None:
    file = tmp_path / "a"
    file.write_bytes(bytes(300_000))
    with serving(system, "asgi", tmp_path, "memory") as port:
        url = f"http://127.0.0.1:{port}/"
        for words, said in (
            (["send", "--id", "x", str(file), url], "a server: done, 300 kB"),
            (["watch", "x", "--at", f"{url}progress"], "x: done, 300 kB"),
            (["send", "-", url], "standard input server: done, 300 kB"),
        ):
            with file.open("rb") as stdin:
                done = run(system, *words, stdin=stdin)
            assert (done.returncode, done.stderr) == (0, ""), words
            assert said in done.stdout, words
        listed = run(system, "top", f"{url}progress")
        assert listed.returncode == 2
        assert len(listed.stderr.splitlines()) == 1


def test_the_gateway_of_macos_copies(tmp_path: Path) -> None:
    places = {"TMPDIR": str(tmp_path), "XDG_RUNTIME_DIR": ""}
    program = ("mod_progress", "serve", "--listen", "127.0.0.1:0", "--store", str(tmp_path / "up"))
    with subprocess.Popen(
        as_on("darwin", *program),
        cwd=ROOT,
        env=os.environ | places,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as process:
        try:
            assert process.stdout is not None
            url = process.stdout.readline().strip()
            body = bytes(1_000_000)
            request = Request(f"{url}upload/film?X-Progress-ID=up", body, method="PUT")
            urlopen(request, timeout=PATIENCE).close()
            port = int(url.rstrip("/").rpartition(":")[2])
            eventually(lambda: show(port, "up")["state"] == "done", PATIENCE)
        finally:
            process.terminate()
    assert (tmp_path / "up/film").stat().st_size == len(body)


def test_the_gateway_of_windows_says_what_it_needs() -> None:
    for command in ("serve", "check"):
        done = run("win32", command)
        assert (done.returncode, done.stdout) == (2, "")
        assert done.stderr == (
            f"mod-progress {command} needs Linux or macOS; on Windows use a middleware\n"
        )
