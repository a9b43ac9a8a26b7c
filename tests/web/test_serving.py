"""The script as the gateway and the middleware serve it, in a page that includes it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from mod_progress.asgi import ProgressMiddleware
from mod_progress.show.script import MODULES
from tests.web.browsing import serving
from tests.web.playground import page_of
from tests.web.pushing import serving_asgi

DOCUMENTATION = (Path(__file__).parents[2] / "docs" / "browser.md").read_text()

#: A page in a language whose words are in another module.
PAGE = page_of("<transfer-progress></transfer-progress>", "de")

SITE = """
setup {{ module_load "mod_progress"; listen "127.0.0.1:0"; }}
{script}
else {{ docroot "{folder}"; index ("index.html"); }}
"""


@pytest.fixture
def gateway(tmp_path: Path) -> Iterator[str]:
    """A gateway that serves the script as the documentation says."""
    script = DOCUMENTATION.split("```lighttpd\n")[1].split("\n```")[0]
    (tmp_path / "index.html").write_bytes(PAGE)
    (tmp_path / "site.conf").write_text(SITE.format(script=script, folder=tmp_path))
    with serving(tmp_path, str(tmp_path / "site.conf")) as server:
        yield server.url


async def app(scope: Any, receive: Any, send: Any) -> None:
    fields = [(b"content-type", b"text/html"), (b"content-length", b"%d" % len(PAGE))]
    await send({"type": "http.response.start", "status": 200, "headers": fields})
    await send({"type": "http.response.body", "body": PAGE})


@pytest.fixture
def middleware() -> Iterator[str]:
    with serving_asgi(ProgressMiddleware(app, store="memory", script="/progress.js")) as url:
        yield url


@pytest.mark.parametrize("front", ["gateway", "middleware"])
def test_a_front_serves_all_modules(
    open_page: Callable[..., Page], front: str, request: pytest.FixtureRequest
) -> None:
    url = request.getfixturevalue(front)
    page = open_page(url)
    expect(page.locator("[part=status]")).to_have_text("Wartet")
    for module in MODULES:
        answer = page.request.get(url + module)
        assert answer.headers["content-type"] == "text/javascript; charset=utf-8", module
        assert answer.headers["content-encoding"] == "gzip"
