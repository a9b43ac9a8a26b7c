"""The figures that the documentation gives are those of the last run."""

from __future__ import annotations

import re

import pytest

from tests.docs.blocks import ROOT

RESULTS = (ROOT / "bench/results.md").read_text()
TRUTH = (ROOT / "docs/truth.md").read_text()
COST = (ROOT / "docs/cost.md").read_text()

#: A row of the page, and the column of the results that it is from.
ROWS = {
    "uploads, MB a second": ("upload MB/s", 0),
    "CPU for each GB of them": ("upload MB/s", 1),
    "downloads, MB a second": ("upload MB/s", 2),
    "questions about progress a second": ("shows/s", 0),
    "small requests a second": ("shows/s", 2),
    "small tracked requests a second": ("shows/s", 4),
    "kB of memory for a slow upload": ("kB per slow upload", 0),
}
PEERS = ("nginx", "HAProxy", "Apache")


def cells(line: str) -> list[str]:
    return [cell.strip() for cell in line.strip().strip("|").split("|")]


def measured(first: str, column: int, peer: str) -> str:
    """Return the median of a ratio; empty where there is none."""
    table = RESULTS[RESULTS.index(f"| server | {first} |") :].partition("\n\n")[0]
    rows = {cells(line)[0]: cells(line)[1:] for line in table.splitlines()}
    found = rows.get(f"**mod_progress ÷ {peer}**")
    return found[column].partition(" ")[0] if found else ""


@pytest.mark.parametrize("name", ROWS)
def test_a_ratio_is_the_one_that_was_measured(name: str) -> None:
    line = re.search(rf"^\| {name} \|.*$", TRUTH, re.MULTILINE)
    assert line is not None
    assert cells(line[0])[1:] == [measured(*ROWS[name], peer) for peer in PEERS]


def test_what_it_costs_says_the_same() -> None:
    for name in ("uploads, MB a second", "questions about progress a second"):
        assert f"{measured(*ROWS[name], 'nginx')} times as" in COST
    assert f"at {float(measured(*ROWS['CPU for each GB of them'], 'nginx')):.2f} of nginx" in COST
    assert f"{float(measured(*ROWS['small requests a second'], 'nginx')):.2f} of nginx" in COST
