"""The bar chart of the gateway's ratios to its peers: an SVG that light and dark pages can show."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from html import escape

#: Mid tones: text and bars stand out from white and from near black alike.
TEXT = "#7a828e"
COLOURS = ("#2f81f7", "#d9822b")

WIDTH = 720
LABELS = 190  # the room at the left for the names of the groups
VALUES = 60  # the room at the right for the longest bar's value
BAR = 18
GAP = 16  # between two groups of bars
TOP = 64  # the room for the title and the legend

#: A group of bars: its name, and a ratio for each peer, None where there is none.
Group = tuple[str, Sequence[float | None]]


def text(x: float, y: float, words: str, anchor: str = "start", size: int = 13) -> str:
    return (
        f'<text x="{x:.0f}" y="{y:.0f}" text-anchor="{anchor}" font-size="{size}" fill="{TEXT}">'
        f"{escape(words)}</text>\n"
    )


def rectangle(x: float, y: float, width: float, height: float, colour: str) -> str:
    return (
        f'<rect x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" height="{height:.1f}" rx="2" '
        f'fill="{colour}"/>\n'
    )


def legend(peers: Sequence[str]) -> Iterator[str]:
    for number, peer in enumerate(peers):
        x = LABELS + number * 140
        yield rectangle(x, 36, 12, 12, COLOURS[number])
        yield text(x + 18, 47, f"beside {peer}")


def bars(groups: Sequence[Group], scale: float) -> Iterator[str]:
    """Draw the groups from `TOP` down, ``scale`` pixels for a ratio of one."""
    y = float(TOP)
    for name, ratios in groups:
        shown = [(ratio, colour) for ratio, colour in zip(ratios, COLOURS, strict=False) if ratio]
        yield text(LABELS - 10, y + len(shown) * BAR / 2 + 4, name, "end")
        for ratio, colour in shown:
            yield rectangle(LABELS, y + 1, ratio * scale, BAR - 3, colour)
            yield text(LABELS + ratio * scale + 6, y + BAR - 5, f"{ratio:.2f}", size=12)
            y += BAR
        y += GAP


def draw(title: str, peers: Sequence[str], groups: Sequence[Group]) -> str:
    """Return an SVG of groups of bars, with a line where the gateway and a peer are equal."""
    ratios = [ratio for _, group in groups for ratio in group if ratio]
    scale = (WIDTH - LABELS - VALUES) / max([1.0, *ratios])
    height = TOP + len(ratios) * BAR + len(groups) * GAP
    one = LABELS + scale
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" '
        f'font-family="system-ui, sans-serif" role="img" aria-label="{escape(title)}">\n'
        + text(LABELS, 20, title, size=15)
        + "".join(legend(peers))
        + "".join(bars(groups, scale))
        + f'<line x1="{one:.1f}" x2="{one:.1f}" y1="{TOP - 6}" y2="{height - GAP / 2:.0f}" '
        f'stroke="{TEXT}" stroke-dasharray="3 3"/>\n</svg>\n'
    )
