"""The servers under test: each with one worker, in front of the same backend."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from string import Template

import processes

#: Seconds in which a server must start, and end when it is told to.
PATIENCE = 10.0


class ServerError(Exception):
    """A server did not start, or did not do what was to be measured."""


#: How a server that does not do what it should shows.
FAILURES = (ServerError, OSError, subprocess.TimeoutExpired)


@dataclass(frozen=True, slots=True)
class Kind:
    """One server: its title, its configuration in ``peers``, and how it is started with it."""

    title: str
    template: str
    command: tuple[str, ...]
    version: tuple[str, ...]


KINDS = {
    "gateway": Kind(
        "mod_progress",
        "gateway.conf",
        (str(Path(sys.executable).with_name("mod-progress")), "serve", "FILE"),
        (str(Path(sys.executable).with_name("mod-progress")), "--version"),
    ),
    "nginx": Kind("nginx", "nginx.conf", ("nginx", "-c", "FILE"), ("nginx", "-v")),
    "haproxy": Kind("HAProxy", "haproxy.cfg", ("haproxy", "-db", "-f", "FILE"), ("haproxy", "-v")),
    "apache": Kind(
        "Apache",
        "apache.conf",
        ("apache2", "-f", "FILE", "-D", "FOREGROUND"),
        ("apache2", "-v"),
    ),
}


@dataclass(frozen=True, slots=True)
class Server:
    """A server that runs, or the backend itself where nothing stands before it."""

    name: str
    port: int
    pid: int


def version(name: str) -> str:
    """Return what the server says of itself, its first line."""
    said = subprocess.run(KINDS[name].version, capture_output=True, text=True, check=True)
    return (said.stdout + said.stderr).splitlines()[0]


@contextmanager
def running(
    name: str, backend: int, directory: Path, threads: int, store: str = ""
) -> Iterator[Server]:
    """Start a server on a free port, and end it. Its files are in ``directory``.

    ``backend`` is the backend's port, ``threads`` what a server gets that needs one a request,
    ``store`` where a gateway's store is, beside its files where nothing is said.
    """
    kind, port = KINDS[name], free_port()
    configuration = directory / kind.template
    template = Template((Path(__file__).parent / "peers" / kind.template).read_text())
    configuration.write_text(
        template.substitute(port=port, backend=backend, directory=directory, threads=threads)
    )
    command = [str(configuration) if word == "FILE" else word for word in kind.command]
    log = directory / f"{name}.out"
    with log.open("wb") as output:
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            env=os.environ | {"XDG_RUNTIME_DIR": store or str(directory)},
        )
    try:
        wait_until_it_listens(process, port)
        yield Server(name, port, process.pid)
    except FAILURES as error:
        last_words = log.read_text(errors="replace").strip().splitlines()[-1:]
        raise ServerError(" - ".join([str(error), *last_words])) from error
    finally:
        end(process)


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port: int = server.getsockname()[1]
        return port


def wait_until_it_listens(process: subprocess.Popen[bytes], port: int) -> None:
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline and process.poll() is None:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
            return
        except OSError:
            time.sleep(0.02)
    raise ServerError("it does not listen")


def end(process: subprocess.Popen[bytes]) -> None:
    """End a server and what it started: asked first, killed when it does not listen."""
    family = processes.descendants(process.pid)
    process.terminate()
    try:
        process.wait(PATIENCE)
    except subprocess.TimeoutExpired:
        for pid in family:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        process.wait()
