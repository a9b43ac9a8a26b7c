"""The page for everybody: names, announcements, contrast, motion, narrow windows."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from browsing import Server, choose, make_file, row, throttled
from playwright.sync_api import Page, expect


def test_start_and_end_are_announced_and_not_each_percent(
    open_page: Callable[..., Page], server: Server, tmp_path: Path
) -> None:
    page = open_page(server.url)
    with throttled(page, 1_000_000):
        choose(page, make_file(tmp_path / "film.mkv", 1_500_000))
        expect(row(page, "film.mkv")).to_contain_text("Done")
        assert page.get_by_role("log").locator("p").all_text_contents() == [
            "film.mkv: uploading",
            "film.mkv: done",
        ]


@pytest.fixture
def crowded(
    open_page: Callable[..., Page], server: Server, tmp_path: Path, request: pytest.FixtureRequest
) -> Iterator[Page]:
    """A page with a row in each state, in a context with the options of the test."""
    with (tmp_path / ("a-name-without-end-" * 8)).open("wb") as sparse:
        sparse.truncate(17 * 1024**3)
    page = open_page(server.url, **getattr(request, "param", {}))
    choose(page, make_file(tmp_path / "done", 10), Path(sparse.name))
    expect(page.get_by_text("Done", exact=True)).to_be_visible()
    expect(page.get_by_text("Failed", exact=True)).to_be_visible()
    with throttled(page, 100_000):
        choose(page, *(make_file(tmp_path / name, 5_000_000) for name in ("one", "two", "three")))
        expect(page.get_by_text("kB/s").first).to_be_visible()
        yield page


@pytest.mark.parametrize("crowded", [{"viewport": {"width": 320, "height": 640}}], indirect=True)
def test_it_fits_a_narrow_window(crowded: Page) -> None:
    assert crowded.evaluate("document.documentElement.scrollWidth") == 320


def test_everything_has_a_name(crowded: Page) -> None:
    expect(crowded).to_have_title("Upload · mod_progress")
    expect(crowded.locator("html")).to_have_attribute("lang", "en")
    for role in ("button", "progressbar"):
        nameless = crowded.get_by_role(role, name=re.compile("^$"))
        expect(nameless).to_have_count(0)
    buttons = crowded.get_by_role("listitem").get_by_role("button").all()
    names = [button.get_attribute("aria-label") for button in buttons]
    assert len(names) == len(set(names)) == 7
    for landmark in ("banner", "main", "contentinfo"):
        expect(crowded.get_by_role(landmark)).to_have_count(1)
    headings = crowded.get_by_role("heading")
    expect(headings).to_have_text(["mod_progress", "Upload files", "Your uploads"])


#: Foreground, background, the least contrast (WCAG 2.2: 1.4.3 for text, 1.4.11 for the rest).
CONTRASTS = (
    ("ink", "paper", 4.5),
    ("quiet", "paper", 4.5),
    ("quiet", "raised", 4.5),
    ("quiet", "tint", 4.5),
    ("accent", "paper", 4.5),
    ("accent", "tint", 4.5),
    ("alarm", "paper", 4.5),
    ("on-accent", "accent", 4.5),
    ("accent", "track", 3.0),
    ("edge", "paper", 3.0),
    ("edge", "raised", 3.0),
)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_colours_contrast(open_page: Callable[..., Page], server: Server, scheme: str) -> None:
    page = open_page(server.url, color_scheme=scheme)
    style = "getComputedStyle(document.documentElement)"

    def luminance(colour: str) -> float:
        code = page.evaluate(f"{style}.getPropertyValue('--{colour}')")
        parts = [int(code[at : at + 2], 16) / 255 for at in (1, 3, 5)]
        linear = [
            part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts
        ]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    for foreground, background, least in CONTRASTS:
        dark, light = sorted((luminance(foreground), luminance(background)))
        assert (light + 0.05) / (dark + 0.05) >= least, (foreground, background)


@pytest.mark.parametrize("motion", ["reduce", "no-preference"])
def test_nothing_moves_for_those_who_ask(
    open_page: Callable[..., Page],
    backed_server: Server,
    release: threading.Event,
    tmp_path: Path,
    motion: str,
) -> None:
    page = open_page(backed_server.url, reduced_motion=motion)
    choose(page, make_file(tmp_path / "film.mkv", 10))
    expect(row(page, "film.mkv")).to_contain_text("Processing")
    expect(page.get_by_role("progressbar")).to_have_css(
        "animation-name", "none" if motion == "reduce" else "breathe"
    )
