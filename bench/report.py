"""What the gateway's benchmark says: a line a cell, tables of medians and ratios."""

from __future__ import annotations

import os
import platform
from collections.abc import Iterable
from pathlib import Path
from statistics import median
from typing import NamedTuple

import chart

from servers import KINDS, version

#: What was measured, by its unit; empty where it failed.
Cell = dict[str, float]

#: Measurement -> server -> a cell for each round.
Results = dict[str, dict[str, list[Cell]]]


class Metric(NamedTuple):
    """One figure: its measurement, its unit, its name in a table, and in the chart of speeds."""

    measurement: str
    unit: str
    title: str
    bar: str = ""


#: The tables: what is measured in each, from left to right.
TABLES = (
    (
        Metric("upload", "MB/s", "upload MB/s", "upload"),
        Metric("upload", "CPU s/GB", "CPU s/GB"),
        Metric("download", "MB/s", "download MB/s", "download"),
        Metric("download", "CPU s/GB", "CPU s/GB"),
        Metric("static", "MB/s", "static MB/s", "static file"),
        Metric("static", "CPU s/GB", "CPU s/GB"),
    ),
    (
        Metric("shows", "/s", "shows/s", "shows"),
        Metric("shows", "CPU µs", "CPU µs each"),
        Metric("posts", "/s", "small POSTs/s", "small POSTs"),
        Metric("posts", "CPU µs", "CPU µs each"),
        Metric("tracked", "/s", "tracked POSTs/s", "tracked small POSTs"),
        Metric("tracked", "CPU µs", "CPU µs each"),
    ),
    (
        Metric("hold", "kB each", "kB per slow upload"),
        Metric("hold", "median ms", "show, median ms"),
        Metric("hold", "p99 ms", "show, p99 ms"),
    ),
)

TITLES = {"direct": "none: client to backend"} | {name: kind.title for name, kind in KINDS.items()}


class Spread(NamedTuple):
    """Several measurements of one thing."""

    median: float
    least: float
    most: float


def spread(values: Iterable[float]) -> Spread | None:
    ordered = sorted(values)
    return Spread(median(ordered), ordered[0], ordered[-1]) if ordered else None


def figures(results: Results, metric: Metric, server: str) -> Spread | None:
    """Sum up one server's cells; None where there are none."""
    cells = results.get(metric.measurement, {}).get(server, [])
    return spread(cell[metric.unit] for cell in cells if cell)


def ratio(results: Results, metric: Metric, peer: str) -> Spread | None:
    """Divide the gateway's cells by a peer's, round by round."""
    rows = results.get(metric.measurement, {})
    pairs = zip(rows.get("gateway", []), rows.get(peer, []), strict=False)
    return spread(
        ours[metric.unit] / theirs[metric.unit]
        for ours, theirs in pairs
        if ours and theirs and theirs[metric.unit]
    )


def number(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:#.3g}"


def line(cell: Cell) -> str:
    return "  ".join(f"{number(value):>7} {unit}" for unit, value in cell.items())


def row(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |\n"


def spread_text(found: Spread | None) -> str:
    if found is None:
        return ""
    if found.least == found.most:
        return number(found.median)
    return f"{number(found.median)} ({number(found.least)} to {number(found.most)})"


def tables(results: Results) -> str:
    """Render the medians, least and most of each server, and the gateway's ratios to each."""
    text = ""
    for columns in TABLES:
        metrics = [metric for metric in columns if metric.measurement in results]
        if not metrics:
            continue
        text += row(["server", *(metric.title for metric in metrics)])
        text += row(["---", *("---:" for _ in metrics)])
        for server, title in TITLES.items():
            cells = [spread_text(figures(results, metric, server)) for metric in metrics]
            text += row([title, *cells]) if any(cells) else ""
        for peer in KINDS:
            cells = [spread_text(ratio(results, metric, peer)) for metric in metrics]
            if peer != "gateway" and any(cells):
                text += row([f"**mod_progress ÷ {TITLES[peer]}**", *cells])
        text += "\n"
    return text


def busiest_generator(results: Results) -> float:
    """Return the largest share of a core that the generator took for a body beside a server."""
    return max(
        (
            median(cell["generator"] for cell in cells)
            for measurement in ("upload", "download", "static")
            for server, cells in results.get(measurement, {}).items()
            if server != "direct" and cells and all("generator" in cell for cell in cells)
        ),
        default=0.0,
    )


def processor() -> str:
    """Return the processor's name, as Linux tells it."""
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    names = [line.partition(": ")[2] for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


def page(results: Results, conditions: str) -> str:
    """Render results.md."""
    versions = "\n".join(f"- {version(server)}" for server in KINDS)
    return f"""# The gateway beside its peers

![The gateway's speed beside that of its peers](results.svg)

Written by `make bench`: {conditions}.
{processor()}, {os.cpu_count()} cores, Linux {platform.release()}.

Every server has one worker, and stands in front of the same backend on the same machine. A cell is
a median, with the least and the most; a ratio divides two cells of the same round. CPU is that of
the server's processes, user and system. Memory is the growth of their proportional set size.

The first line is the load generator alone with the backend: what it can do without a server between
them. With bodies it was busy for at most {busiest_generator(results):.0%} of a core beside one.
With small requests it never sleeps, so that no server pays for waking it, which here costs as much
as an answer: a client on another machine costs none either.

{tables(results)}{versions}
"""


def speeds(results: Results, peers: list[str]) -> list[chart.Group]:
    """Return the medians of the ratios of what is faster the larger it is."""
    groups: list[chart.Group] = []
    for metric in (metric for columns in TABLES for metric in columns if metric.bar):
        found = [ratio(results, metric, peer) for peer in peers]
        if any(found):
            groups.append((metric.bar, [each and each.median for each in found]))
    return groups


def write(directory: Path, results: Results, conditions: str) -> None:
    """Write results.md and results.svg into ``directory``."""
    peers = ["nginx", "haproxy"]
    title = "The gateway's speed: how many times its peers'"
    drawing = chart.draw(title, [TITLES[peer] for peer in peers], speeds(results, peers))
    (directory / "results.svg").write_text(drawing)
    (directory / "results.md").write_text(page(results, conditions))
