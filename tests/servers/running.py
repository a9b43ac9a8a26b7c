"""The servers under test: how each is started and ended, and what is known of it."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx

from tests.ports import free_port

HERE = Path(__file__).parent
BIN = Path(sys.executable).parent
DEADLINE = 60

#: How each server is started, with 4 workers or threads.
ASGI_SERVERS = {
    "uvicorn": "uvicorn --port {port} --workers 4 asgi_apps:app",
    "hypercorn": "hypercorn --bind 127.0.0.1:{port} -w 4 --keep-alive 1 asgi_apps:app",
    "hypercorn-trio": "hypercorn --bind 127.0.0.1:{port} -w 4 --keep-alive 1 -k trio asgi_apps:app",
    "granian-asgi": "granian --port {port} --workers 4 --interface asgi asgi_apps:app",
    "daphne": "daphne --fd {fd} asgi_apps:app",
    "gunicorn-uvicorn": (
        "gunicorn --bind 127.0.0.1:{port} -w 4 -k uvicorn_worker.UvicornWorker asgi_apps:app"
    ),
}
WSGI_SERVERS = {
    "gunicorn-sync": "gunicorn --bind 127.0.0.1:{port} -w 4 wsgi_apps:app",
    "gunicorn-gthread": "gunicorn --bind 127.0.0.1:{port} -w 4 --threads 4 wsgi_apps:app",
    "gunicorn-gevent": "gunicorn --bind 127.0.0.1:{port} -w 4 -k gevent wsgi_apps:app",
    "uwsgi": (
        "uwsgi --http-socket 127.0.0.1:{port} --master --die-on-term --processes 2 --threads 2"
        " --disable-logging --module wsgi_apps:app"
    ),
    "cheroot": "cheroot --bind 127.0.0.1:{port} --threads 4 wsgi_apps:app",
    "granian-wsgi": "granian --port {port} --workers 4 --interface wsgi wsgi_apps:app",
    "waitress": "waitress-serve --listen 127.0.0.1:{port} --threads 4 wsgi_apps:app",
}
SERVERS = {**ASGI_SERVERS, **WSGI_SERVERS}

#: Daphne is one process: workers are several of it on one socket.
PROCESSES = {"daphne": 4}

#: How many processes must answer before a server is used. granian hangs when it is told to end
#: while one of them starts: that one has its parent's handler still, and does not hear it.
AWAITED = {"granian-asgi": 4, "granian-wsgi": 4}

#: These hand the app the body when they have it whole: there is nothing to see until then.
BUFFERING = {"daphne", "waitress", "granian-wsgi"}
STREAMING = [name for name in SERVERS if name not in BUFFERING]

#: These report the addresses of the connection.
REPORTING = [name for name in SERVERS if name != "granian-wsgi"]


@dataclass(frozen=True)
class Server:
    """A server that runs."""

    name: str
    origin: str
    #: Its store is here. An app stays silent until a file named like the transfer's id is here too.
    directory: Path

    @property
    def buffers(self) -> bool:
        return self.name in BUFFERING

    def end_silence(self, identifier: str) -> None:
        """Let the app that serves a request go on."""
        (self.directory / identifier).touch()


@contextlib.contextmanager
def serve(name: str, directory: Path) -> Iterator[Server]:
    """Start a server, and yield it when it answers."""
    environment = {
        **os.environ,
        "PYTHONPATH": str(HERE),
        "XDG_RUNTIME_DIR": str(directory),
        "SILENCES": str(directory),
    }
    processes = PROCESSES.get(name, 1)
    with contextlib.ExitStack() as running:
        port = free_port()
        shared = []
        if processes > 1:
            listener = running.enter_context(socket.create_server(("127.0.0.1", port)))
            shared = [listener.fileno()]
        command, *arguments = SERVERS[name].format(port=port, fd=shared[0] if shared else 0).split()
        for _ in range(processes):
            process = subprocess.Popen(
                [BIN / command, *arguments],
                env=environment,
                pass_fds=shared,
                stdout=subprocess.DEVNULL,
                start_new_session=True,
            )
            running.callback(stop, process)
        origin = f"http://127.0.0.1:{port}"
        wait_for_workers(origin, AWAITED.get(name, 1))
        yield Server(name, origin, directory)


@contextlib.contextmanager
def serve_code(
    code: str, module: str, command: str, directory: Path
) -> Iterator[tuple[subprocess.Popen[bytes], int]]:
    """Start a server with an app of a test's own; yield it and its port, before it answers.

    ``code`` becomes the ``module`` that ``command`` names.
    """
    (directory / f"{module}.py").write_text(code)
    port = free_port()
    program, *arguments = command.format(port=port).split()
    process = subprocess.Popen(
        [BIN / program, *arguments],
        cwd=directory,
        env=os.environ | {"PYTHONPATH": str(directory), "XDG_RUNTIME_DIR": str(directory)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        yield process, port
    finally:
        stop(process)


def stop(process: subprocess.Popen[bytes]) -> None:
    """End a server, and whatever it started and leaves behind."""
    process.terminate()
    try:
        process.wait(10)
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def wait_for_workers(origin: str, processes: int) -> None:
    """Wait until a second worker answers, so that polls can reach another, of so many processes."""
    workers: set[str] = set()
    deadline = time.monotonic() + DEADLINE
    while len(workers) < 2 or len({each.split(".")[0] for each in workers}) < processes:
        assert time.monotonic() < deadline, f"the workers that answered: {workers}"
        try:
            answer = httpx.get(f"{origin}/plain/progress", timeout=DEADLINE, verify=False)
            workers.add(answer.headers["X-Worker"])
        except httpx.TransportError:
            time.sleep(0.05)
