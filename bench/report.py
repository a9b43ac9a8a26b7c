"""What the gateway's benchmark says: a line a cell, tables of medians and ratios."""

from __future__ import annotations

from collections.abc import Iterable
from statistics import median
from typing import NamedTuple

from servers import KINDS

#: What was measured, by its unit; None where it failed.
Cell = dict[str, float]

#: Measurement -> server -> a cell for each round.
Results = dict[str, dict[str, list[Cell | None]]]


class Metric(NamedTuple):
    """One figure: its measurement, its unit, and its name in a table."""

    measurement: str
    unit: str
    title: str


#: The tables: what is measured in each, from left to right.
TABLES = (
    (
        Metric("upload", "MB/s", "upload MB/s"),
        Metric("upload", "CPU s/GB", "CPU s/GB"),
        Metric("download", "MB/s", "download MB/s"),
        Metric("download", "CPU s/GB", "CPU s/GB"),
        Metric("static", "MB/s", "static MB/s"),
        Metric("static", "CPU s/GB", "CPU s/GB"),
    ),
    (
        Metric("shows", "/s", "shows/s"),
        Metric("shows", "CPU µs", "CPU µs each"),
        Metric("posts", "/s", "small POSTs/s"),
        Metric("posts", "CPU µs", "CPU µs each"),
        Metric("tracked", "/s", "tracked POSTs/s"),
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
