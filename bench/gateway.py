"""The gateway beside nginx, HAProxy and Apache: bodies, shows, small requests, slow uploads.

Each server has one worker, and stands in front of the same backend. Every cell starts a fresh
server; the servers take turns within a round, and a ratio compares the cells of one round.

    python bench/gateway.py --only upload,shows --servers nginx,gateway --rounds 3
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import processes
import report
from report import Cell, Results
from servers import KINDS, Server, ServerError, running

HERE = Path(__file__).parent
BUILD = HERE.parent / "build" / "bench"

#: The name of the measurement without a server: how fast the load generator and the backend are.
DIRECT = "direct"

#: Every upload has an id, numbered by the generator; Apache's module wants 8 characters.
UPLOAD = "/upload?X-Progress-ID=benchmark-#"
SHOW = "/progress?X-Progress-ID=benchmark-000000000000"

#: What a show says of an upload in flight: ours, and both modules'.
IN_FLIGHT = (b'"running"', b'"uploading"')

#: The threads of a server that needs one for each request in flight.
THREADS = 64

#: Seconds until a run of the generator counts as stuck, beyond those that it was asked for.
STUCK = 90.0


@dataclass(frozen=True, slots=True)
class Bench:
    """What every measurement needs."""

    directory: Path
    backend: Server
    size: int
    seconds: float
    connections: int
    held: int

    def load(self, server: Server, mode: str, *arguments: object) -> dict[str, float]:
        """Run the load generator and return what it measured."""
        command = [BUILD / "load", mode, str(server.port), *map(str, arguments)]
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=STUCK + self.seconds, check=False
        )
        if done.returncode:
            raise ServerError(f"{mode}: {done.stderr.strip()}")
        found: dict[str, float] = json.loads(done.stdout)
        return found

    @contextmanager
    def slow_uploads(self, server: Server, count: int, seconds: float) -> Iterator[Held]:
        """Hold uploads in flight, and see that a show knows them, where there is one."""
        command = [BUILD / "load", "hold", str(server.port), UPLOAD, SHOW]
        with subprocess.Popen(
            [*command, str(count), str(seconds)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        ) as held:
            try:
                if server.name != DIRECT:
                    wait_until_shown(server)
                yield Held(held)
            finally:
                held.communicate()


@dataclass(frozen=True, slots=True)
class Held:
    """Slow uploads in flight."""

    process: subprocess.Popen[str]

    def shows(self) -> dict[str, float]:
        """Wait until the shows were timed, and return what they took."""
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if not line:
            raise ServerError(f"hold: {self.process.communicate()[1].strip()}")
        found: dict[str, float] = json.loads(line)
        if found["lost"]:
            raise ServerError(f"hold: {found['lost']} uploads were cut")
        return found


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


# One function a measurement.


def body(bench: Bench, server: Server, mode: str, *arguments: object) -> Cell:
    before = processes.cpu_seconds(server.pid)
    found = bench.load(server, mode, *arguments)
    used = processes.cpu_seconds(server.pid) - before
    if found["bytes"] != bench.size:
        raise ServerError(f"{mode}: {found['bytes']} bytes came, not {bench.size}")
    return {
        "MB/s": found["bytes"] / found["seconds"] / 1e6,
        "CPU s/GB": used / found["bytes"] * 1e9,
        "generator": found["cpu"] / found["seconds"],
    }


def upload(bench: Bench, server: Server) -> Cell:
    return body(bench, server, "upload", UPLOAD, bench.size)


def download(bench: Bench, server: Server) -> Cell:
    return body(bench, server, "download", f"/bytes/{bench.size}")


def static(bench: Bench, server: Server) -> Cell:
    return body(bench, server, "download", "/static/large")


def requests(bench: Bench, server: Server, method: str, target: str) -> Cell:
    before = processes.cpu_seconds(server.pid)
    found = bench.load(server, "requests", method, target, bench.connections, bench.seconds)
    used = processes.cpu_seconds(server.pid) - before
    return {
        "/s": found["requests"] / found["seconds"],
        "CPU µs": used / found["requests"] * 1e6,
        "generator": found["cpu"] / found["seconds"],
    }


def shows(bench: Bench, server: Server) -> Cell:
    with bench.slow_uploads(server, 1, 0):
        return requests(bench, server, "GET", SHOW)


def posts(bench: Bench, server: Server) -> Cell:
    return requests(bench, server, "POST", "/upload")


def tracked(bench: Bench, server: Server) -> Cell:
    return requests(bench, server, "POST", UPLOAD)


def hold(bench: Bench, server: Server) -> Cell:
    before = processes.memory(server.pid)
    with bench.slow_uploads(server, bench.held, bench.seconds) as held:
        found = held.shows()
        grown = processes.memory(server.pid) - before
    return {
        "kB each": grown / bench.held / 1e3,
        "median ms": found["median_ms"],
        "p99 ms": found["p99_ms"],
    }


#: The measurements, and who can do them. HAProxy knows no ids, no shows and no files; the
#: backend itself shows how fast the generator is, so it is asked for what needs no server.
MEASUREMENTS: dict[str, tuple[Callable[[Bench, Server], Cell], str]] = {
    "upload": (upload, "direct gateway nginx haproxy apache"),
    "download": (download, "direct gateway nginx haproxy apache"),
    "static": (static, "gateway nginx apache"),
    "shows": (shows, "direct gateway nginx apache"),
    "posts": (posts, "direct gateway nginx haproxy apache"),
    "tracked": (tracked, "gateway nginx apache"),
    "hold": (hold, "direct gateway nginx apache"),
}


def measure(bench: Bench, measurement: str, name: str) -> Cell:
    """Fill one cell: a fresh server, a first request, and the measurement."""
    function, _ = MEASUREMENTS[measurement]
    if name == DIRECT:
        return function(bench, bench.backend)
    threads = bench.held + THREADS if measurement == "hold" else THREADS
    with running(name, bench.backend.port, bench.directory, threads) as server:
        bench.load(server, "requests", "POST", "/upload", 4, 0.1)
        return function(bench, server)


def run(bench: Bench, measurements: list[str], names: list[str], rounds: int) -> Results:
    """Fill every cell, a line for each as it comes."""
    results: Results = {}
    for measurement in measurements:
        able = [name for name in names if name in MEASUREMENTS[measurement][1].split()]
        for number in range(rounds):
            turn = number % len(able) if able else 0
            for name in able[turn:] + able[:turn]:
                try:
                    cell = measure(bench, measurement, name)
                    said = report.line(cell)
                except (ServerError, OSError, subprocess.TimeoutExpired) as error:
                    cell, said = None, f"failed: {error}"
                results.setdefault(measurement, {}).setdefault(name, []).append(cell)
                print(f"{number + 1}  {measurement:<9} {name:<8} {said}", flush=True)
    return results


# The surroundings.


@contextmanager
def surroundings(options: argparse.Namespace) -> Iterator[Bench]:
    """Build the generator, start the backend and make the file that is served."""
    limit = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (limit, limit))
    BUILD.mkdir(parents=True, exist_ok=True)
    for program in "load", "backend":
        source = HERE / f"{program}.c"
        subprocess.run(["cc", "-O2", "-Wall", "-o", BUILD / program, source], check=True)
    memory = Path("/dev/shm")
    with tempfile.TemporaryDirectory(dir=memory if memory.is_dir() else None) as name:
        directory = Path(name)
        directory.chmod(0o755)  # Apache's worker reads it, and is not root
        size = int(options.size * 1e6)
        if "static" in options.only:
            write_file(directory / "static" / "large", size)
        with subprocess.Popen([BUILD / "backend"], stdout=subprocess.PIPE, text=True) as backend:
            try:
                assert backend.stdout is not None
                server = Server(DIRECT, int(backend.stdout.readline()), backend.pid)
                yield Bench(
                    directory, server, size, options.seconds, options.connections, options.held
                )
            finally:
                backend.terminate()


def write_file(path: Path, size: int) -> None:
    path.parent.mkdir()
    block = bytes(range(256)) * 4096
    with path.open("wb") as file:
        while (left := size - file.tell()) > 0:
            file.write(block[:left])


def several(known: list[str]) -> Callable[[str], list[str]]:
    """Return what reads a list of names, separated by commas, of those that are known."""

    def parse(text: str) -> list[str]:
        names = text.split(",")
        for name in names:
            if name not in known:
                raise argparse.ArgumentTypeError(f"{name!r} is none of {', '.join(known)}")
        return names

    return parse


def parse_arguments() -> argparse.Namespace:
    measurements, names = list(MEASUREMENTS), [DIRECT, *KINDS]
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    add = parser.add_argument
    add("--only", type=several(measurements), default=measurements, help=",".join(measurements))
    add("--servers", type=several(names), default=names, help=",".join(names))
    add("--rounds", type=int, default=5)
    add("--size", type=float, default=2000.0, metavar="MB", help="of a large body")
    add("--seconds", type=float, default=3.0, help="for which requests are counted")
    add("--connections", type=int, default=32, help="on which small requests come")
    add("--held", type=int, default=5000, help="slow uploads in flight")
    add("--write", type=Path, metavar="DIRECTORY", help="where results.md and results.svg go")
    return parser.parse_args()


def main() -> int:
    options = parse_arguments()
    with surroundings(options) as bench:
        results = run(bench, options.only, options.servers, options.rounds)
    print(report.tables(results), end="")
    if options.write:
        report.write(options.write, results, options)
    failed = any(cell is None for cells in results.values() for row in cells.values() for cell in row)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
