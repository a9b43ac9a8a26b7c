"""The gateway beside nginx, HAProxy and Apache, each with one worker, before the same backend.

Every cell starts a fresh server; the servers take turns within a round, and a ratio compares the
cells of one round.

    python bench/gateway.py --only upload,shows --servers nginx,gateway --rounds 3
"""

from __future__ import annotations

import argparse
import resource
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import report
from measurements import DIRECT, MEASUREMENTS, Bench, measure
from report import Results

from servers import FAILURES, KINDS, Server

HERE = Path(__file__).parent
BUILD = HERE.parent / "build" / "bench"

#: Where a file stays in memory, so that no disk is measured; elsewhere, the page cache will do.
MEMORY = Path("/dev/shm")


def run(bench: Bench, measurements: list[str], names: list[str], rounds: int) -> Results:
    """Fill every cell, and print a line for each as it comes."""
    results: Results = {}
    for measurement in measurements:
        able = [name for name in names if name in MEASUREMENTS[measurement][1].split()]
        rows = results[measurement] = {name: [] for name in able}
        for turn in range(rounds):
            first = turn % max(1, len(able))
            for name in able[first:] + able[:first]:
                try:
                    cell = measure(bench, measurement, name)
                    said = report.line(cell)
                except FAILURES as error:
                    cell, said = {}, f"failed: {error}"
                rows[name].append(cell)
                print(f"{turn + 1}  {measurement:<9} {name:<8} {said}", flush=True)
    return results


def compile_program(name: str) -> Path:
    """Compile one of the C programs beside this file, and return where it is."""
    BUILD.mkdir(parents=True, exist_ok=True)
    program = BUILD / name
    subprocess.run(["cc", "-O2", "-Wall", "-o", program, HERE / f"{name}.c"], check=True)
    return program


@contextmanager
def surroundings(options: argparse.Namespace) -> Iterator[Bench]:
    """Build the generator, start the backend, and make the file that is served."""
    limit = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (limit, limit))
    load, command = compile_program("load"), compile_program("backend")
    size = int(options.size * 1e6)
    with (
        tempfile.TemporaryDirectory(dir=MEMORY if MEMORY.is_dir() else None) as name,
        subprocess.Popen([command], stdout=subprocess.PIPE, text=True) as backend,
    ):
        directory = Path(name)
        directory.chmod(0o755)  # Apache's worker reads it, and is not root
        try:
            if "static" in options.only:
                write_file(directory / "static" / "large", size)
            assert backend.stdout is not None
            direct = Server(DIRECT, int(backend.stdout.readline()), backend.pid)
            yield Bench(
                load, directory, direct, size, options.seconds, options.connections, options.held
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
    """Return what reads names, separated by commas, of those that are known."""

    def parse(text: str) -> list[str]:
        names = text.split(",")
        for name in names:
            if name not in known:
                raise argparse.ArgumentTypeError(f"{name!r} is none of {', '.join(known)}")
        return names

    return parse


def parse_arguments() -> argparse.Namespace:
    measurements, names = list(MEASUREMENTS), [DIRECT, *KINDS]
    parser = argparse.ArgumentParser(description="Measure the gateway beside its peers.")
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
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # so that the servers are ended too
    with surroundings(options) as bench:
        results = run(bench, options.only, options.servers, options.rounds)
        print("\n" + report.tables(results), end="")
    if options.write:
        conditions = (
            f"{options.rounds} rounds, bodies of {options.size:,.0f} MB, small requests on "
            f"{options.connections} connections for {options.seconds:g} seconds, "
            f"{options.held:,} slow uploads"
        )
        report.write(options.write, results, conditions)
    complete = all(cell for row in results.values() for cells in row.values() for cell in cells)
    return 0 if complete else 1


if __name__ == "__main__":
    sys.exit(main())
