"""What is measured of a server: bodies, shows, small requests, slow uploads in flight."""

from __future__ import annotations

import json
import subprocess
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import processes
from report import Cell

from servers import Server, ServerError, running

#: The name of the measurement without a server: how fast the load generator and the backend are.
DIRECT = "direct"

#: Every upload has an id, numbered by the generator; Apache's module wants 8 characters.
UPLOAD = "/upload?X-Progress-ID=benchmark-#"
SHOW = "/progress?X-Progress-ID=benchmark-000000000000"

#: What a show says of an upload in flight: ours, and both modules'.
IN_FLIGHT = (b'"running"', b'"uploading"')

#: The threads of a server that needs one for each request in flight.
THREADS = 64

#: How often the file is fetched: once, not a byte copied, can be over in 0.15 seconds.
STATIC_TIMES = 5

#: Seconds until a run of the generator counts as stuck, beyond those that it was asked for.
STUCK = 60.0


@dataclass(frozen=True, slots=True)
class Bench:
    """What every measurement needs; sizes in bytes."""

    load: Path
    directory: Path
    backend: Server
    size: int
    seconds: float
    connections: int
    held: int


def load(bench: Bench, server: Server, mode: str, *arguments: object) -> dict[str, float]:
    """Run the load generator and return what it measured."""
    command = [str(word) for word in (bench.load, mode, server.port, *arguments)]
    limit = STUCK + bench.seconds
    done = subprocess.run(command, capture_output=True, text=True, timeout=limit, check=False)
    if done.returncode:
        raise ServerError(f"{mode}: {done.stderr.strip()}")
    found: dict[str, float] = json.loads(done.stdout)
    return found


@contextmanager
def slow_uploads(
    bench: Bench, server: Server, count: int, seconds: float
) -> Iterator[subprocess.Popen[str]]:
    """Hold uploads in flight while the block runs, and see that they are tracked.

    What shows took in the first ``seconds`` is a line of the generator's output.
    """
    command = [str(bench.load), "hold", str(server.port), UPLOAD, SHOW, str(count), str(seconds)]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=pipe, text=True) as process:
        if server.name != DIRECT:
            wait_until_shown(server)
        yield process


def wait_until_shown(server: Server) -> None:
    """See that the server tracks: the first of the held uploads is shown as in flight."""
    deadline = time.monotonic() + STUCK
    answer = b""
    while time.monotonic() < deadline:
        with urllib.request.urlopen(f"http://127.0.0.1:{server.port}{SHOW}", timeout=10) as reply:
            answer = reply.read()
        if any(word in answer for word in IN_FLIGHT):
            return
        time.sleep(0.05)
    raise ServerError(f"a show of an upload in flight says {answer!r}")


def read_shows(process: subprocess.Popen[str]) -> dict[str, float]:
    """Wait until the shows beside slow uploads were timed, and return what they took."""
    assert process.stdout is not None
    assert process.stderr is not None
    line = process.stdout.readline()
    if not line:
        raise ServerError(f"hold: {process.stderr.read().strip()}")
    found: dict[str, float] = json.loads(line)
    if found["lost"]:
        raise ServerError(f"hold: {found['lost']} uploads were cut")
    return found


def body(bench: Bench, server: Server, size: int, mode: str, *arguments: object) -> Cell:
    before = processes.cpu_seconds(server.pid)
    found = load(bench, server, mode, *arguments)
    used = processes.cpu_seconds(server.pid) - before
    if found["bytes"] != size:
        raise ServerError(f"{mode}: {found['bytes']} bytes came, not {size}")
    return {
        "MB/s": size / found["seconds"] / 1e6,
        "CPU s/GB": used / size * 1e9,
        "generator": found["cpu"] / found["seconds"],
    }


def upload(bench: Bench, server: Server) -> Cell:
    return body(bench, server, bench.size, "upload", UPLOAD, bench.size)


def download(bench: Bench, server: Server) -> Cell:
    return body(bench, server, bench.size, "download", f"/bytes/{bench.size}", 1)


def static(bench: Bench, server: Server) -> Cell:
    size = bench.size * STATIC_TIMES
    return body(bench, server, size, "download", "/static/large", STATIC_TIMES)


def requests(bench: Bench, server: Server, method: str, target: str) -> Cell:
    before = processes.cpu_seconds(server.pid)
    found = load(bench, server, "requests", method, target, bench.connections, bench.seconds)
    used = processes.cpu_seconds(server.pid) - before
    return {
        "/s": found["requests"] / found["seconds"],
        "CPU µs": used / found["requests"] * 1e6,
        "generator": found["cpu"] / found["seconds"],
    }


def shows(bench: Bench, server: Server) -> Cell:
    with slow_uploads(bench, server, 1, 0):
        return requests(bench, server, "GET", SHOW)


def posts(bench: Bench, server: Server) -> Cell:
    return requests(bench, server, "POST", "/upload")


def tracked(bench: Bench, server: Server) -> Cell:
    return requests(bench, server, "POST", UPLOAD)


def hold(bench: Bench, server: Server) -> Cell:
    before = processes.memory(server.pid)
    with slow_uploads(bench, server, bench.held, bench.seconds) as process:
        found = read_shows(process)
        grown = processes.memory(server.pid) - before
    return {
        "kB each": grown / bench.held / 1e3,
        "median ms": found["median_ms"],
        "p99 ms": found["p99_ms"],
    }


#: The measurements, and who can do them. HAProxy knows no ids, no shows and no files; the
#: backend itself is asked for what shows how fast the generator is.
MEASUREMENTS: dict[str, tuple[Callable[[Bench, Server], Cell], str]] = {
    "upload": (upload, "direct gateway nginx haproxy apache"),
    "download": (download, "direct gateway nginx haproxy apache"),
    "static": (static, "gateway nginx apache"),
    "shows": (shows, "direct gateway nginx apache"),
    "posts": (posts, "direct gateway nginx haproxy apache"),
    "tracked": (tracked, "direct gateway nginx apache"),
    "hold": (hold, "gateway nginx apache"),
}


def measure(bench: Bench, measurement: str, name: str) -> Cell:
    """Fill one cell: a fresh server, some first requests, and the measurement."""
    function, _ = MEASUREMENTS[measurement]
    if name == DIRECT:
        return function(bench, bench.backend)
    threads = THREADS + (bench.held if measurement == "hold" else 0)
    with (
        # As fresh as the memory of the others.
        tempfile.TemporaryDirectory(dir=bench.directory) as store,
        running(name, bench.backend.port, bench.directory, threads, store) as server,
    ):
        load(bench, server, "requests", "POST", "/upload", 4, 0.1)
        return function(bench, server)
