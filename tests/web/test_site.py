"""The documentation site in a browser: it needs nothing from elsewhere, and fits a phone."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from tests.docs.site import build

#: Pages with the widest tables and the longest lines of code.
WIDE = ["ARCHITECTURE", "bench/results", "commands", "configuration", "http", "middleware", "truth"]

PHONE = {"width": 375, "height": 700}


class _Handler(SimpleHTTPRequestHandler):
    def log_message(self, *_: Any) -> None:
        """Say nothing."""


class Site(ThreadingHTTPServer):
    """Serves the site."""

    daemon_threads = True

    def __init__(self, folder: Path) -> None:
        super().__init__(("127.0.0.1", 0), partial(_Handler, directory=str(folder)))
        self.url = f"http://127.0.0.1:{self.server_port}/"


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with Site(build(tmp_path_factory.mktemp("site"))) as serving:
        threading.Thread(target=serving.serve_forever, args=(0.01,)).start()
        yield serving
        serving.shutdown()


def test_no_page_is_wider_than_a_phone(open_page: Callable[..., Page], site: Site) -> None:
    page = open_page(f"{site.url}index.html", viewport=PHONE)
    for each in WIDE:
        page.goto(f"{site.url}{each}.html", wait_until="domcontentloaded")
        assert page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"], each


def test_the_search_finds_a_page(open_page: Callable[..., Page], site: Site) -> None:
    asked: list[str] = []
    page = open_page("about:blank", apart=True)
    page.on("request", lambda request: asked.append(request.url))
    page.goto(f"{site.url}index.html")
    field = page.locator("input[role=combobox]")
    field.wait_for(state="attached")  # else nothing would hear the click
    page.get_by_role("button", name="Search").first.click()
    field.fill("cancel a transfer")
    expect(page.locator("a", has_text="Cancel a transfer").first).to_be_visible()
    assert [url for url in asked if not url.startswith((site.url, "data:"))] == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_it_is_light_or_dark_as_the_system_is(
    open_page: Callable[..., Page], site: Site, scheme: str
) -> None:
    page = open_page(f"{site.url}index.html", color_scheme=scheme)
    colour = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert (sum(map(int, colour.strip("rgba()").split(",")[:3])) > 600) is (scheme == "light")
