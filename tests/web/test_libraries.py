"""Bars with the real htmx and Turbo, as docs/htmx-turbo.md has it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.web.browsing import make_file
from tests.web.libraries import HTMX_2, HTMX_4, TURBO, Library
from tests.web.playground import Playground, page_of

RECIPES = (Path(__file__).parents[2] / "docs" / "htmx-turbo.md").read_text()


def recipe(name: str) -> str:
    """Return the page of the recipe under that heading."""
    return RECIPES.split(f"## {name}\n")[1].split("```html\n")[1].split("```")[0]


def open_recipe(
    open_page: Callable[..., Page],
    playground: Playground,
    name: str,
    library: Library,
    packages: Path,
) -> Page:
    playground.pages["/"] = page_of(recipe(name))
    playground.scripts["/library.js"] = library.find(packages)
    # htmx adds a style of its own, and both put what they get into the page.
    playground.policy = "default-src 'self' 'unsafe-inline'; img-src data:"
    return open_page(playground.url)


def send(page: Page, file: Path) -> Locator:
    page.locator("input[type=file]").set_input_files(str(file))
    page.get_by_role("button", name="Upload").click()
    return page.locator("transfer-progress")


def part(bar: Locator, name: str) -> Locator:
    return bar.locator(f"[part={name}]")


@pytest.mark.parametrize("library", [HTMX_2, HTMX_4], ids=lambda library: library.package)
def test_htmx(
    open_page: Callable[..., Page],
    tracked_playground: Playground,
    packages: Path,
    tmp_path: Path,
    library: Library,
) -> None:
    page = open_recipe(open_page, tracked_playground, "htmx", library, packages)
    bar = send(page, make_file(tmp_path / "film.mkv", 1_000_000))
    expect(part(bar, "label")).to_have_text("film.mkv")
    expect(part(bar, "status")).to_have_text("Processing")
    tracked_playground.gate.set()
    expect(part(bar, "status")).to_have_text("Done")
    expect(page.locator("#result")).to_have_text("This is what the server says.")


@pytest.mark.parametrize("library", [HTMX_2, HTMX_4], ids=lambda library: library.package)
def test_a_field_that_htmx_sends_at_once(
    open_page: Callable[..., Page],
    tracked_playground: Playground,
    packages: Path,
    tmp_path: Path,
    library: Library,
) -> None:
    name = "A field that is sent at once"
    page = open_recipe(open_page, tracked_playground, name, library, packages)
    page.locator("input").set_input_files(str(make_file(tmp_path / "film.mkv", 1000)))
    bar = page.locator("input + transfer-progress")
    expect(part(bar, "status")).to_have_text("Processing")
    tracked_playground.gate.set()
    expect(part(bar, "status")).to_have_text("Done")


@pytest.mark.parametrize("outcome", ["redirect", "422"])
def test_turbo(
    open_page: Callable[..., Page],
    tracked_playground: Playground,
    packages: Path,
    tmp_path: Path,
    outcome: str,
) -> None:
    tracked_playground.pages["/thanks"] = b"<!doctype html><title>Thanks</title><h1>Thank you</h1>"
    page = open_recipe(open_page, tracked_playground, "Turbo", TURBO, packages)
    page.evaluate("window.mark = 'the same page'")
    page.locator("form").evaluate("(form, to) => (form.action = `/upload/${to}`)", outcome)
    bar = send(page, make_file(tmp_path / "film.mkv", 1_000_000))
    expect(part(bar, "label")).to_have_text("film.mkv")
    expect(part(bar, "status")).to_have_text("Processing")
    tracked_playground.gate.set()
    if outcome == "redirect":
        expect(page.get_by_role("heading", name="Thank you")).to_be_visible()
    else:
        expect(page.get_by_text("This is what the server says.")).to_be_visible()
    assert page.evaluate("window.mark") == "the same page"
    expect(bar).to_have_count(0)


def test_turbo_keeps_no_old_bar(
    open_page: Callable[..., Page],
    tracked_playground: Playground,
    packages: Path,
    tmp_path: Path,
) -> None:
    tracked_playground.pages["/thanks"] = b"<!doctype html><title>Thanks</title><h1>Thank you</h1>"
    page = open_recipe(open_page, tracked_playground, "Turbo", TURBO, packages)
    page.locator("form").evaluate("form => (form.action = '/upload/redirect')")
    bar = send(page, make_file(tmp_path / "film.mkv", 1_000_000))
    expect(part(bar, "status")).to_have_text("Processing")
    tracked_playground.gate.set()
    expect(page.get_by_role("heading", name="Thank you")).to_be_visible()
    page.evaluate("history.back()")
    expect(page.get_by_role("button", name="Upload")).to_be_visible()
    expect(bar).to_have_count(0)
