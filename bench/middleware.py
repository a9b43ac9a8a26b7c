"""The middlewares: the same server bare, behind one that only counts bytes, and behind ours.

They take turns. Ratios compare the runs of one round; what is printed is the median of the rounds.
Where the machine has other work, the ratio by the server's own processor time is the steadier one.

    python bench/middleware.py --rounds 5 --seconds 1 --size 1000
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from statistics import median
from typing import NamedTuple
from urllib.request import urlopen

import processes

from gateway import compile_program
from servers import end, free_port, wait_until_it_listens

HERE = Path(__file__).parent
KINDS = ("bare", "counted", "with")
CONNECTIONS = 16

#: glibc gives large blocks back to the system, or keeps them, by what came before: uploads to one
#: and the same server differ by a factor of four. So every server is told to keep them.
STEADY = {"MALLOC_MMAP_THRESHOLD_": str(1 << 28), "MALLOC_TRIM_THRESHOLD_": str(1 << 28)}

#: How each server is started with one worker; {app} is of middleware_apps.
SERVERS = {
    "asgi": "uvicorn --port {port} --log-level error middleware_apps:{app}",
    "fastapi": "uvicorn --port {port} --log-level error middleware_apps:{app}",
    "wsgi": "gunicorn --bind 127.0.0.1:{port} --threads 4 --log-level error middleware_apps:{app}",
}

#: Each measurement: the servers that it is for, what is to be reached, and the generator's mode
#: and arguments; {bytes} and {seconds} are options. What counts is the rate of requests or bytes.
#: Tracked requests come last: the thread that publishes them has work for a while.
MEASUREMENTS = {
    "untracked GETs": ("asgi fastapi wsgi", 0.98, "requests GET / {connections} {seconds}"),
    "untracked POSTs": ("asgi fastapi wsgi", 0.98, "requests POST / {connections} {seconds}"),
    "upload": ("asgi wsgi", 0.99, "upload /?X-Progress-ID=benchmark-# {bytes}"),
    "download": ("asgi wsgi", 0.99, "download /{bytes}?X-Progress-ID=benchmark 1"),
    "tracked POSTs": (
        "asgi fastapi wsgi",
        0.93,
        "requests POST /?X-Progress-ID=benchmark-# {connections} {seconds}",
    ),
}


@contextmanager
def serving(name: str, app: str, directory: str) -> Iterator[tuple[int, int]]:
    """Start a server; yield its port and its process."""
    port = free_port()
    command, *arguments = SERVERS[name].format(port=port, app=app).split()
    environment = os.environ | STEADY | {"XDG_RUNTIME_DIR": directory, "PYTHONPATH": str(HERE)}
    process = subprocess.Popen(
        [Path(sys.executable).with_name(command), *arguments], env=environment
    )
    try:
        wait_until_it_listens(process, port)
        with urlopen(f"http://127.0.0.1:{port}/progress?X-Progress-ID=none", timeout=10):
            yield port, process.pid
    finally:
        end(process)


class Speed(NamedTuple):
    """Requests or bytes: so many a second, and a second of the server's processor time."""

    rate: float
    thrift: float


def speed(load: Path, server: tuple[int, int], arguments: str) -> Speed:
    """Run the load generator against a server, a port and a process."""
    mode, *rest = arguments.split()
    port, pid = server
    before = processes.cpu_seconds(pid)
    done = subprocess.run([load, mode, str(port), *rest], capture_output=True, check=True)
    used = processes.cpu_seconds(pid) - before
    found: dict[str, float] = json.loads(done.stdout)
    amount = found["requests" if mode == "requests" else "bytes"]
    # A clock tick at the least: the first run may find the server still starting.
    return Speed(amount / found["seconds"], amount / max(used, 1 / processes.TICKS_PER_SECOND))


def take_turns(load: Path, servers: list[tuple[int, int]], command: str, turn: int) -> list[Speed]:
    """Measure each server once, every other time in the other order."""
    order = servers if turn % 2 else servers[::-1]
    speeds = {server: speed(load, server, command) for server in order}
    return [speeds[server] for server in servers]


def compare(load: Path, options: argparse.Namespace) -> None:
    """Measure every server of each kind, in turns, and print the ratios."""
    values = {
        "bytes": int(options.size * 1e6),
        "seconds": options.seconds,
        "connections": CONNECTIONS,
    }
    for name in options.servers:
        with ExitStack() as running:
            directory = running.enter_context(tempfile.TemporaryDirectory())
            servers = [
                running.enter_context(serving(name, f"{name}_{kind}", directory)) for kind in KINDS
            ]
            for measurement, (able, aim, arguments) in MEASUREMENTS.items():
                if name in able.split():
                    command = arguments.format(**values)
                    rounds = [
                        take_turns(load, servers, command, turn)
                        for turn in range(options.rounds + 1)
                    ]
                    say(name, measurement, aim, rounds[1:])  # the first one warms up
            memories = ", ".join(f"{processes.memory(pid) / 1e6:.0f} MB" for _, pid in servers)
            print(f"{name:<8} {'memory afterwards':<20} {memories}")


def say(name: str, measurement: str, aim: float, rounds: list[list[Speed]]) -> None:
    """Print what the other kinds of a server reach of the bare one's speed."""
    without = median(bare.rate for bare, *_ in rounds)
    counted, there = (median(each[kind].rate / each[0].rate for each in rounds) for kind in (1, 2))
    thrift = median(each[2].thrift / each[0].thrift for each in rounds)
    print(
        f"{name:<8} {measurement:<20} {there:.3f} of without (aim {aim}, counting alone"
        f" {counted:.3f}), {without:,.0f} a second; by processor time {thrift:.3f}",
        flush=True,
    )


def import_seconds(module: str) -> float:
    """Return what importing a module takes in a fresh interpreter."""
    code = f"import time; t = time.perf_counter(); import {module}; print(time.perf_counter() - t)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True)
    return float(done.stdout)


HEADERS = [(name, b"x" * 20) for name in (b"host", b"user-agent", b"accept", b"cookie", b"te")]


async def overhead(repeat: int = 20_000) -> dict[str, float]:
    """Return the seconds that the ASGI middleware adds to an untracked request."""
    from mod_progress.asgi import ProgressMiddleware

    async def app(scope: object, receive: object, send: object) -> None:
        pass

    async def best(served: Callable[..., object], method: str) -> float:
        scope = {
            "type": "http",
            "http_version": "1.1",
            "method": method,
            "path": "/",
            "query_string": b"a=b",
            "headers": HEADERS,
        }
        times = []
        for _ in range(5):
            begin = time.perf_counter()
            for _ in range(repeat):
                await served(scope, None, None)  # type: ignore[misc]
            times.append((time.perf_counter() - begin) / repeat)
        return min(times)

    there = ProgressMiddleware(app, store="memory")
    return {
        method: await best(there, method) - await best(app, method) for method in ("GET", "POST")
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--servers", nargs="+", choices=SERVERS, default=list(SERVERS))
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=1.0, help="of a run of small requests")
    parser.add_argument("--size", type=float, default=1000.0, help="of a body, in MB")
    options = parser.parse_args()
    for module in ("mod_progress.asgi", "mod_progress.wsgi"):
        seconds = median(import_seconds(module) for _ in range(5))
        print(f"import {module}: {seconds * 1000:.0f} ms (aim 60)")
    for method, seconds in asyncio.run(overhead()).items():
        print(f"an untracked {method}: {seconds * 1e6:.2f} microseconds (aim 2)")
    compare(compile_program("load"), options)


if __name__ == "__main__":
    main()
