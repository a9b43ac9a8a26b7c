"""Every server with every framework: polls that reach other workers agree with the owner."""

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.servers.watcher import Watcher, check_no_push

Answer = dict[str, Any]

HERE = Path(__file__).parent
BIN = Path(sys.executable).parent
DEADLINE = 20
FILE_SIZE = 50 << 20
CHUNK = 2 << 20
DOWNLOAD_SIZE = 16 << 20

#: How each server is started, with 4 workers or threads.
SERVERS = {
    "uvicorn": "uvicorn --port {port} --workers 4 asgi_apps:app",
    "hypercorn": "hypercorn --bind 127.0.0.1:{port} --workers 4 asgi_apps:app",
    "hypercorn-trio": "hypercorn --bind 127.0.0.1:{port} --workers 4 -k trio asgi_apps:app",
    "granian-asgi": "granian --port {port} --workers 4 --interface asgi asgi_apps:app",
    "daphne": "daphne --fd {fd} asgi_apps:app",
    "gunicorn-uvicorn": (
        "gunicorn --bind 127.0.0.1:{port} -w 4 -k uvicorn_worker.UvicornWorker asgi_apps:app"
    ),
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
#: Daphne is one process: workers are several of it on one socket.
PROCESSES = {"daphne": 4}

#: These hand the app the body when they have it whole: there is nothing to see until then.
BUFFERING = {"daphne", "waitress", "granian-wsgi"}

#: These can keep a stream open: they have an event loop, or threads that are cheap.
PUSHING = {
    "uvicorn",
    "hypercorn",
    "hypercorn-trio",
    "granian-asgi",
    "daphne",
    "gunicorn-uvicorn",
    "gunicorn-gevent",
}

FRAMEWORKS = {
    "asgi_apps:app": ("plain", "starlette", "fastapi", "django"),
    "wsgi_apps:app": ("plain", "flask", "django"),
}
#: Django's handler runs on asyncio alone.
UNABLE = {"hypercorn-trio": {"django"}}
FORMS = {"fastapi", "flask", "django"}
BOUNDARY = "----boundary"
#: What stands before and after the file in a form, and the form's media type.
FORM = (
    f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="file"; filename="file.bin"\r\n'
    "Content-Type: application/octet-stream\r\n\r\n".encode(),
    f"\r\n--{BOUNDARY}--\r\n".encode(),
    f"multipart/form-data; boundary={BOUNDARY}",
)

STATES = ["unknown", "running", "done"]


@contextlib.contextmanager
def serve(name: str, directory: Path) -> Iterator[str]:
    """Start a server with its store in ``directory``, and yield its origin when it answers."""
    environment = {**os.environ, "PYTHONPATH": str(HERE), "XDG_RUNTIME_DIR": str(directory)}
    processes = PROCESSES.get(name, 1)
    with contextlib.ExitStack() as running:
        listener = running.enter_context(socket.create_server(("127.0.0.1", 0)))
        port = listener.getsockname()[1]
        command, *arguments = SERVERS[name].format(port=port, fd=listener.fileno()).split()
        if processes == 1:
            listener.close()
        for _ in range(processes):
            process = subprocess.Popen(
                [BIN / command, *arguments],
                env=environment,
                pass_fds=[listener.fileno()] if processes > 1 else [],
                stdout=subprocess.DEVNULL,
                start_new_session=True,
            )
            running.callback(stop, process)
        origin = f"http://127.0.0.1:{port}"
        wait_for_workers(origin)
        yield origin


def stop(process: subprocess.Popen[bytes]) -> None:
    """End a server, and whatever it started and leaves behind."""
    process.terminate()
    try:
        process.wait(10)
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def wait_for_workers(origin: str) -> None:
    """Wait until a second worker answers: the server is up, and polls can reach another."""
    workers: set[str] = set()
    deadline = time.monotonic() + DEADLINE
    while len(workers) < 2:
        assert time.monotonic() < deadline, f"the workers that answered: {workers}"
        try:
            answer = httpx.get(f"{origin}/plain/progress", timeout=DEADLINE)
            workers.add(answer.headers["X-Worker"])
        except httpx.TransportError:
            time.sleep(0.05)


class Poller:
    """Asks for one transfer, on a new connection each time, and keeps what it was told."""

    def __init__(self, url: str, identifier: str, http2: bool) -> None:
        self.url = f"{url}?X-Progress-ID={identifier}"
        self.http2 = http2
        self.told: list[Answer] = []

    def ask(self) -> tuple[str, Answer]:
        with httpx.Client(http1=not self.http2, http2=self.http2, timeout=DEADLINE) as client:
            response = client.get(self.url)
        answer = response.json()
        self.told.append(answer)
        return response.headers["X-Worker"], answer

    def ask_until(self, condition: Callable[[Answer], bool]) -> Answer:
        """Ask until an answer meets the condition; return that."""
        deadline = time.monotonic() + DEADLINE
        while not condition(answer := self.ask()[1]):
            assert time.monotonic() < deadline, answer
        return answer

    def ask_until_workers_agree(self, state: str) -> None:
        """Ask until two workers have told the same state."""
        workers: set[str] = set()
        deadline = time.monotonic() + DEADLINE
        while len(workers) < 2:
            assert time.monotonic() < deadline, (workers, self.told[-1])
            worker, answer = self.ask()
            if answer["state"] == state:
                workers.add(worker)

    def check(self) -> None:
        """Once known, a transfer stays so, and nothing that is told of it steps back."""
        known = [answer for answer in self.told if answer["state"] != "unknown"]
        assert self.told[len(self.told) - len(known) :] == known
        assert "error" not in {answer["state"] for answer in known}
        for member in ("received", "sent", "response_size"):
            values = [answer[member] for answer in known]
            assert values == sorted(values), member
        assert known == sorted(known, key=lambda answer: STATES.index(answer["state"]))


def upload(
    origin: str, framework: str, buffering: bool, http2: bool, identifier: str = ""
) -> tuple[Answer, int]:
    """Upload a file slowly and poll meanwhile; return the last answer and the body's size."""
    identifier = identifier or uuid.uuid4().hex
    poller = Poller(f"{origin}/{framework}/progress", identifier, http2)
    head, tail, media_type = FORM if framework in FORMS else (b"", b"", "application/octet-stream")
    size = len(head) + FILE_SIZE + len(tail)

    def body() -> Iterator[bytes]:
        yield head
        for sent in range(0, FILE_SIZE, CHUNK):
            if sent == FILE_SIZE // 2 and not buffering:
                poller.ask_until_workers_agree("running")
            poller.ask()
            yield b"x" * CHUNK
        yield tail

    headers = {
        "Content-Length": str(size),
        "Content-Type": media_type,
        "X-Progress-ID": identifier,
    }
    with httpx.Client(http1=not http2, http2=http2, timeout=DEADLINE) as client:
        url = f"{origin}/{framework}/upload"
        response = client.post(url, content=body(), headers=headers)
    assert json.loads(response.text) == FILE_SIZE
    poller.ask_until_workers_agree("done")
    poller.check()
    return poller.told[-1], size


@contextlib.contextmanager
def send_request(
    origin: str, path: str, identifier: str, body: bytes, length: int
) -> Iterator[socket.socket]:
    """Send a request by hand, or only a part of it, and read nothing."""
    url = httpx.URL(origin)
    with socket.socket() as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
        client.connect((url.host, url.port))
        head = f"POST {path}?X-Progress-ID={identifier} HTTP/1.1\r\nHost: {url.host}\r\n"
        client.settimeout(DEADLINE)
        client.sendall(f"{head}Content-Length: {length}\r\n\r\n".encode() + body)
        yield client


def check_download(origin: str, tells_addresses: bool) -> None:
    """A download is done when the client has it, where the server tells whose connection it is."""
    poller = Poller(f"{origin}/plain/progress", identifier := uuid.uuid4().hex, http2=False)
    with send_request(origin, "/plain/download", identifier, b"", 0) as client:
        if tells_addresses:
            stalled = poller.ask_until(lambda answer: answer.get("sent", 0) > 0)
            assert stalled["state"] == "running"
            assert stalled["sent"] < 1 << 20
        tail = b""
        # The end is a last chunk, or that of the connection.
        while not tail.endswith(b"\r\n0\r\n\r\n") and (data := client.recv(1 << 20)):
            tail = tail[-10:] + data
        done = poller.ask_until(lambda answer: answer["state"] == "done")
        assert done["sent"] == done["response_size"] > DOWNLOAD_SIZE
        poller.check()


def check_clients_that_leave(origin: str, buffering: bool) -> None:
    """A transfer whose client left is an error; its status is 0 if there was no response."""
    poller = Poller(f"{origin}/plain/progress", identifier := uuid.uuid4().hex, http2=False)
    with send_request(origin, "/plain/download", identifier, b"", 0) as client:
        client.recv(1)
        poller.ask_until(lambda answer: answer["state"] == "running")
    poller.ask_until(lambda answer: answer == {"state": "error", "status": 200})
    if buffering:
        return
    poller = Poller(f"{origin}/plain/progress", identifier := uuid.uuid4().hex, http2=False)
    with send_request(origin, "/plain/upload", identifier, bytes(1 << 20), 2 << 20):
        poller.ask_until(lambda answer: answer.get("received", 0) > 0)
    poller.ask_until(lambda answer: answer == {"state": "error", "status": 0})


def watched_upload(origin: str, buffering: bool, http2: bool) -> tuple[Answer, int]:
    """Upload a file while somebody watches; return the last answer and the body's size."""
    identifier = uuid.uuid4().hex
    url = f"{origin}/plain/progress?X-Progress-ID={identifier}"
    with Watcher(url, http2) as watcher:
        watcher.await_beginning()
        last, size = upload(origin, "plain", buffering, http2, identifier)
        watcher.check(last, in_between=not buffering)
    return last, size


@pytest.mark.parametrize("server", SERVERS)
def test_every_framework(server: str, tmp_path: Path) -> None:
    command = SERVERS[server].split()[-1]
    with contextlib.ExitStack() as watching, serve(server, tmp_path) as origin:
        for framework in set(FRAMEWORKS[command]) - UNABLE.get(server, set()):
            if framework == "plain" and server in PUSHING:
                last, size = watched_upload(origin, server in BUFFERING, http2=False)
            else:
                last, size = upload(origin, framework, server in BUFFERING, http2=False)
            response_size = len(str(FILE_SIZE))
            assert last == {
                "state": "done",
                "received": size,
                "sent": response_size,
                "request_size": size,
                "response_size": response_size,
            }
        check_download(origin, tells_addresses=server != "granian-wsgi")
        check_clients_that_leave(origin, server in BUFFERING)
        url = f"{origin}/plain/progress?X-Progress-ID=nobody"
        if server in PUSHING:
            # It has to end in time though somebody watches: see `stop`.
            watching.enter_context(Watcher(url)).await_beginning()
        else:
            check_no_push(url)


@pytest.mark.parametrize("server", ["hypercorn", "granian-asgi"])
def test_http2(server: str, tmp_path: Path) -> None:
    with serve(server, tmp_path) as origin:
        last, size = watched_upload(origin, buffering=False, http2=True)
        assert last["received"] == last["request_size"] == size
