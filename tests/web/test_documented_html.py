"""The HTML and CSS of the documentation in a real browser, with the real script."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from playwright.sync_api import Page

from tests.docs.blocks import BLOCKS, Block, blocks_in
from tests.web.playground import Playground, page_of

#: The pages whose HTML is opened with the libraries that it is about.
ABOUT_LIBRARIES = {
    "docs/htmx-turbo.md": "tests/web/test_libraries.py",
    "docs/upload-libraries.md": "tests/web/test_upload_libraries.py",
}

HTML = [
    block for block in blocks_in("html") if block.page not in ABOUT_LIBRARIES and not block.title
]

#: Some recipes are a script in the page.
POLICY = "default-src 'self' 'unsafe-inline'; img-src data:"


@pytest.mark.parametrize("block", HTML, ids=str)
def test_html_is_opened(
    open_page: Callable[..., Page], playground: Playground, block: Block
) -> None:
    playground.pages["/"] = page_of(block.text)
    playground.policy = POLICY
    page = open_page(playground.url)
    page.wait_for_function("() => customElements.get('transfer-progress') !== undefined")
    for name in ("form[data-progress]", "a[data-progress]", "transfer-progress[for-id]"):
        written = block.text.count(f"<{name.partition('[')[0]} {name[name.index('[') + 1 : -1]}")
        assert page.locator(name).count() == written


@pytest.mark.parametrize("block", blocks_in("css"), ids=str)
def test_a_browser_understands_css(lasting_page: Page, block: Block) -> None:
    rules = lasting_page.evaluate(
        """text => {
            const sheet = new CSSStyleSheet();
            sheet.replaceSync(text);
            return [...sheet.cssRules].map(({ style }) => style.length);
        }""",
        block.text,
    )
    assert len(rules) == block.text.count("{")
    assert sum(rules) == block.text.count(";")


def test_pages_about_libraries_have_html() -> None:
    assert set(ABOUT_LIBRARIES) <= {block.page for block in BLOCKS if block.language == "html"}
