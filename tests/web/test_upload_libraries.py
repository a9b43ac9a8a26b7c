"""Bars beside Uppy, FilePond and Dropzone, and in React, as the documentation has it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.docs.blocks import ROOT, blocks_of
from tests.web.browsing import make_file
from tests.web.libraries import DROPZONE, FILEPOND, UPPY, Library, bundle_react
from tests.web.playground import Playground, page_of

DOCS = ROOT / "docs"
RECIPES = {block.heading: block.text for block in blocks_of(DOCS / "upload-libraries.md", "html")}
COMPONENTS = [block.text for block in blocks_of(DOCS / "react.md", "jsx", "ts")]

#: These libraries add styles of their own, and the recipes are scripts in the page.
POLICY = "default-src 'self' 'unsafe-inline'; img-src data: blob:"

#: Renders both components; the second one watches what a field names.
APP = """
import { createRoot } from "react-dom/client";
%s
createRoot(document.querySelector("#root")).render(
  location.hash ? <Watch transfer={location.hash.slice(1)} name="theirs" /> : <Upload />
);
"""


def part(page: Page, name: str) -> Locator:
    return page.locator(f"transfer-progress [part={name}]")


def see_the_bar(page: Page, playground: Playground, label: str) -> None:
    """See that the server has it, and when it has answered, that it is done."""
    expect(part(page, "label")).to_have_text(label)
    expect(part(page, "status")).to_have_text("Processing")
    playground.gate.set()
    expect(part(page, "status")).to_have_text("Done")


@pytest.mark.parametrize(
    ("name", "library"), [("Uppy", UPPY), ("FilePond", FILEPOND), ("Dropzone", DROPZONE)]
)
def test_a_library(
    open_page: Callable[..., Page],
    tracked_playground: Playground,
    packages: Path,
    tmp_path: Path,
    name: str,
    library: Library,
) -> None:
    tracked_playground.pages["/"] = page_of(RECIPES[name])
    tracked_playground.scripts["/library.js"] = library.find(packages)
    tracked_playground.policy = POLICY
    page = open_page(tracked_playground.url)
    field = page.locator("input[type=file]").first
    field.set_input_files(str(make_file(tmp_path / "film.mkv", 100_000)))
    see_the_bar(page, tracked_playground, "film.mkv")


@pytest.fixture(scope="module")
def script(packages: Path, tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """The components of the documentation with their types, and React."""
    return bundle_react(APP % "\n".join(COMPONENTS), packages, tmp_path_factory.mktemp("react"))


@pytest.fixture
def react(tracked_playground: Playground, script: bytes) -> Playground:
    """A page with the components of the documentation."""
    tracked_playground.scripts["/app.js"] = script
    app = '<div id="root"></div><script type="module" src="/app.js"></script>'
    tracked_playground.pages["/"] = page_of(app)
    return tracked_playground


def test_a_component_of_react(
    open_page: Callable[..., Page], react: Playground, tmp_path: Path
) -> None:
    page = open_page(react.url)
    file = make_file(tmp_path / "film.mkv", 100_000)
    page.locator("input[type=file]").set_input_files(str(file))
    page.get_by_role("button", name="Upload").click()
    expect(part(page, "status")).to_have_text("Processing")
    react.gate.set()
    expect(page.locator("output")).to_have_text("It is there.")
    expect(part(page, "status")).to_have_text("Done")


def test_a_component_that_watches(open_page: Callable[..., Page], react: Playground) -> None:
    page = open_page(f"{react.url}#mine")
    expect(part(page, "status")).to_have_text("Waiting")
    page.evaluate("() => void fetch('/upload?X-Progress-ID=mine', { method: 'POST', body: 'x' })")
    see_the_bar(page, react, "theirs")
