"""The page for everybody: names, announcements, contrast, motion, narrow windows."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

from playwright.sync_api import Page, expect

from tests.web.browsing import Server, choose, make_file, row, throttled


def test_a_single_upload_speaks_itself(
    open_page: Callable[..., Page], server: Server, tmp_path: Path
) -> None:
    page = open_page(server.url)
    with throttled(page, 1_000_000):
        choose(page, make_file(tmp_path / "film.mkv", 1_000_000))
        expect(row(page, "film.mkv").get_by_role("status")).to_have_text("film.mkv: Done")
        expect(page.locator("#totals")).to_be_hidden()


def test_of_several_only_their_total_speaks_and_what_fails(
    open_page: Callable[..., Page], server: Server, tmp_path: Path
) -> None:
    with (tmp_path / "everything").open("wb") as sparse:
        sparse.truncate(17 * 1024**3)
    page = open_page(server.url)
    files = [make_file(tmp_path / name, 100_000) for name in ("one", "two")]
    choose(page, *files, Path(sparse.name))
    total = page.locator("#totals").get_by_role("status")
    expect(total).to_have_text("2 of 2 files saved: Done")
    expect(page.get_by_role("log")).to_have_text(
        "everything: Refused: the file is too large for the server (413)."
    )
    expect(page.get_by_role("listitem").get_by_role("status")).to_have_text(["", "", ""])


def test_every_row_has_names_and_fits_a_narrow_window(
    open_page: Callable[..., Page], server: Server, tmp_path: Path
) -> None:
    with (tmp_path / ("a-name-without-end-" * 8)).open("wb") as sparse:
        sparse.truncate(17 * 1024**3)
    # 320 CSS pixels: WCAG 2.2, 1.4.10; what 640 are at 200 % zoom.
    page = open_page(server.url, viewport={"width": 320, "height": 640})
    choose(page, make_file(tmp_path / "done", 10), Path(sparse.name))
    expect(page.get_by_text("Done", exact=True)).to_be_visible()
    expect(page.get_by_role("button", name=re.compile("^Try again"))).to_be_visible()
    with throttled(page, 100_000):
        choose(page, *(make_file(tmp_path / name, 5_000_000) for name in ("one", "two", "three")))
        expect(page.get_by_text("kB/s").first).to_be_visible()
        assert page.evaluate("document.documentElement.scrollWidth") == 320
        assert_accessible(page)


def assert_accessible(page: Page) -> None:
    expect(page).to_have_title(re.compile(r"^\d+% · 0 of 3 · Upload · mod_progress$"))
    expect(page.locator("html")).to_have_attribute("lang", "en")
    for landmark in ("banner", "main", "contentinfo"):
        expect(page.get_by_role(landmark)).to_have_count(1)
    headings = page.get_by_role("heading")
    expect(headings).to_have_text(["mod_progress", "Upload files", "Your uploads"])
    for role in ("button", "progressbar"):
        expect(page.get_by_role(role, name=re.compile("^$"))).to_have_count(0)
    buttons = page.get_by_role("listitem").get_by_role("button").all()
    names = [button.get_attribute("aria-label") for button in buttons]
    assert len(names) == len(set(names)) == 7


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


def test_colours_contrast(open_page: Callable[..., Page], server: Server) -> None:
    page = open_page(server.url)
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme)
        for foreground, background, least in CONTRASTS:
            dark, light = sorted((luminance(page, foreground), luminance(page, background)))
            assert (light + 0.05) / (dark + 0.05) >= least, (scheme, foreground, background)


def luminance(page: Page, colour: str) -> float:
    """Return the relative luminance of a colour of the style, as WCAG defines it."""
    style = "getComputedStyle(document.documentElement)"
    code = page.evaluate(f"{style}.getPropertyValue('--{colour}')")
    parts = [int(code[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    red, green, blue = (
        part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts
    )
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def test_nothing_moves_for_those_who_ask(
    open_page: Callable[..., Page], backed_server: Server, tmp_path: Path
) -> None:
    page = open_page(backed_server.url)
    choose(page, make_file(tmp_path / "film.mkv", 10))
    expect(row(page, "film.mkv")).to_contain_text("Processing")
    bar = page.get_by_role("progressbar")
    expect(bar).to_have_css("animation-name", "breathe")
    page.emulate_media(reduced_motion="reduce")
    expect(bar).to_have_css("animation-name", "none")
