"""Who watches, and what that costs: our servers and sse-starlette, with the same uploads.

Each cell starts a fresh server with one worker. "one" is one upload that all watch, "each" is an
upload for each watcher, and "elsewhere" is the same in another process than the watchers'.

    python bench/push.py --watchers 1000 9900 --peer /path/to/python-with-sse-starlette

So many watchers need twice as many descriptors (ulimit -n). sse-starlette is not among the
project's needs: name a Python that has it, uvicorn, httptools and uvloop. Without one it is left
out.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import NamedTuple

import processes

from gateway import compile_program
from servers import end, free_port, wait_until_it_listens

HERE = Path(__file__).parent

#: Seconds from one step of an upload to the next: the more uploads, the fewer each can make.
EVERY = {"one": 0.1, "each": 0.5, "elsewhere": 0.5}

UPLOAD = "/upload?X-Progress-ID=upload-#"
SHOW = "/progress?X-Progress-ID=upload-#"

SITE = """
setup {{
    module_load ["mod_progress", "mod_proxy"];
    listen "127.0.0.1:{port}";
    workers 1;
    limits.connections 30000;
    progress.store "local:push";
}}
if req.path == "/progress" {{ progress.show; }}
else {{ progress.track; proxy "127.0.0.1:{backend}"; }}
"""

#: How each server is started; {app} is a module beside this file.
UVICORN = "-m uvicorn --port {port} --log-level error --http httptools --loop uvloop {app}"


class Cell(NamedTuple):
    """What was measured."""

    #: Events a second that a watcher got.
    rate: float
    #: Milliseconds since the bytes were sent that an event tells of.
    median: float
    p99: float
    #: Of the server that is watched: the part of a core, and bytes for each watcher.
    cpu: float
    memory: float
    lost: int


@contextmanager
def gateway(directory: Path, backend: int) -> Iterator[tuple[int, int]]:
    """Start a gateway; yield its port and process."""
    port = free_port()
    site = directory / f"{port}.conf"
    site.write_text(SITE.format(port=port, backend=backend))
    command = [Path(sys.executable).with_name("mod-progress"), "serve", site]
    with started(command, port, directory) as process:
        yield port, process


@contextmanager
def uvicorn(python: str, app: str, directory: Path) -> Iterator[tuple[int, int]]:
    """Start an app; yield its port and process."""
    port = free_port()
    command = [python, *UVICORN.format(port=port, app=app).split()]
    with started(command, port, directory) as process:
        yield port, process


@contextmanager
def started(command: Sequence[object], port: int, directory: Path) -> Iterator[int]:
    environment = os.environ | {
        "XDG_RUNTIME_DIR": str(directory),
        "PYTHONPATH": f"{HERE}:{HERE / 'peers'}",
    }
    process = subprocess.Popen(
        [str(word) for word in command],
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,  # sse-starlette's prints a traceback for each that leaves
    )
    try:
        wait_until_it_listens(process, port)
        yield process.pid
    finally:
        end(process)


def measure(
    target: tuple[int, int], source: int, transfers: str, watchers: int, seconds: float
) -> Cell:
    """Let so many watch uploads that go to the port ``source``."""
    port, process = target
    before = processes.memory(process)
    uploads = 1 if transfers == "one" else watchers
    sent = (compile_program("watch"), source, UPLOAD, uploads)
    words = (*sent, port, SHOW, watchers, seconds, EVERY[transfers])
    with subprocess.Popen(
        [str(word) for word in words], stdout=subprocess.PIPE, text=True
    ) as running:
        assert running.stdout is not None
        assert running.stdout.readline(), "the watchers failed"
        used = processes.cpu_seconds(process)
        memory = processes.memory(process) - before
        result = running.stdout.readline()
        assert result, "the watchers failed"
        found: dict[str, float] = json.loads(result)
        used = processes.cpu_seconds(process) - used
    return Cell(
        found["events"] / seconds / watchers,
        found["median_ms"],
        found["p99_ms"],
        used / seconds,
        memory / watchers,
        int(found["lost"]),
    )


def cells(options: argparse.Namespace) -> Iterator[tuple[str, str, int]]:
    """Yield each measurement: the server, how many transfers, how many watchers."""
    for watchers in options.watchers:
        yield from ((server, "one", watchers) for server in options.servers)
    for transfers in ("each", "elsewhere"):
        yield from ((server, transfers, 1000) for server in options.servers)


def run(options: argparse.Namespace, server: str, transfers: str, watchers: int) -> Cell:
    """Start what a measurement needs, and measure."""
    with ExitStack() as stack:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory(dir="/dev/shm")))
        directory.chmod(0o700)
        backend = stack.enter_context(
            subprocess.Popen([compile_program("backend")], stdout=subprocess.PIPE, text=True)
        )
        stack.callback(backend.kill)
        assert backend.stdout is not None
        backend_port = int(backend.stdout.readline())

        def start() -> tuple[int, int]:
            if server == "gateway":
                return stack.enter_context(gateway(directory, backend_port))
            python, app = (
                (options.peer, "sse_app:app")
                if server == "sse-starlette"
                else (sys.executable, "middleware_apps:pushing")
            )
            return stack.enter_context(uvicorn(python, app, directory))

        watched = start()
        source = start()[0] if transfers == "elsewhere" else watched[0]
        return measure(watched, source, transfers, watchers, options.seconds)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--servers", nargs="+", default=["gateway", "middleware", "sse-starlette"])
    parser.add_argument("--watchers", nargs="+", type=int, default=[1000, 9900])
    parser.add_argument("--seconds", type=float, default=10.0, help="of each measurement")
    parser.add_argument("--peer", help="a Python that has sse-starlette")
    options = parser.parse_args()
    if not options.peer:
        options.servers = [name for name in options.servers if name != "sse-starlette"]
    limit = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (limit, limit))
    print(f"{'server':<14} {'transfers':<10} watchers  events/s  age ms, p99   core  kB/watcher")
    for server, transfers, watchers in cells(options):
        if server == "sse-starlette" and transfers == "elsewhere":
            continue  # it knows nothing of another process
        cell = run(options, server, transfers, watchers)
        lost = f"  {cell.lost} lost" if cell.lost else ""
        print(
            f"{server:<14} {transfers:<10} {watchers:>8}  {cell.rate:>8.2f}  {cell.median:>6.0f}"
            f" {cell.p99:>6.0f} {cell.cpu:>6.2f} {cell.memory / 1e3:>11.1f}{lost}",
            flush=True,
        )


if __name__ == "__main__":
    main()
