"""What pages and files of strangers can do with a site, in a browser: nothing."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, BrowserContext, expect

from tests.web.browsing import ELSEWHERE, Server, serving

#: The uploads of strangers, and pages of the site's own, on one origin.
SITE = """
setup {
    module_load ("mod_access", "mod_progress");
    listen "127.0.0.1:0";
}
if req.path =^ "/upload/" { upload.store "www/uploads"; }
else { docroot "www"; }
"""

HARM = "<script>parent.harm = 1</script>"

#: What strangers upload; each of them does harm where it runs.
UPLOADED = {
    "page.html": f"<!doctype html>{HARM}",
    "page.xhtml": f'<html xmlns="http://www.w3.org/1999/xhtml">{HARM}</html>',
    "image.svg": f'<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9">{HARM}</svg>',
    "script.js": "harm = 1",
    "style.css": "body { color: red }",
    "unknown": f"<!doctype html>{HARM}",
}


@pytest.fixture
def context(browser: Browser) -> Iterator[BrowserContext]:
    context = browser.new_context()
    yield context
    context.close()


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A site that has the uploads already."""
    folder = tmp_path_factory.mktemp("site")
    (folder / "site.conf").write_text(SITE)
    (folder / "www" / "uploads").mkdir(parents=True)
    (folder / "www" / "index.html").write_text("<!doctype html><body>Our own page")
    for name, content in UPLOADED.items():
        (folder / "www" / "uploads" / name).write_text(content)
    with serving(folder, "site.conf") as running:
        yield running


def test_a_page_of_another_site_uploads_nothing(
    context: BrowserContext, server: Server, site: Server
) -> None:
    page = context.new_page()
    page.goto(f"{site.url}index.html")
    with page.expect_response(f"{server.url}upload/a") as refused:
        page.evaluate(
            "url => fetch(url, {method: 'POST', mode: 'no-cors', body: 'x'})",
            f"{server.url}upload/a",
        )
    assert refused.value.status == 403
    with page.expect_navigation():
        page.evaluate(
            """url => {
                document.body.innerHTML = '<form method="post" enctype="multipart/form-data">';
                const [form] = document.forms;
                form.action = url;
                const data = new DataTransfer();
                data.items.add(new File(["x"], "a.txt"));
                form.append(Object.assign(document.createElement("input"), {
                    type: "file", name: "file", files: data.files,
                }));
                form.submit();
            }""",
            f"{server.url}upload",
        )
    expect(page.locator("body")).to_contain_text("a page of another site has sent this request")
    assert list(server.uploads.glob("*")) == []


def test_a_name_that_was_pointed_at_this_machine_reaches_nothing(
    context: BrowserContext, server: Server
) -> None:
    page = context.new_page()
    page.goto(server.url.replace("127.0.0.1", ELSEWHERE))
    expect(page.locator("body")).to_contain_text("403 Forbidden: on a loopback address")


def test_what_strangers_upload_does_not_run(context: BrowserContext, site: Server) -> None:
    page = context.new_page()
    page.goto(f"{site.url}index.html")
    page.evaluate(
        """async () => {
            const add = (tag, attributes) => new Promise((done) => {
                const element = Object.assign(document.createElement(tag), attributes);
                element.onload = element.onerror = done;
                document.body.append(element);
            });
            await add("script", {src: "uploads/script.js"});
            await add("script", {src: "uploads/script.js", type: "module"});
            await add("link", {rel: "stylesheet", href: "uploads/style.css"});
            await add("img", {src: "uploads/image.svg"});
            for (const name of ["page.html", "page.xhtml", "image.svg", "unknown"])
                for (const [tag, attribute] of [["iframe", "src"], ["object", "data"]])
                    document.body.append(Object.assign(document.createElement(tag), {
                        [attribute]: `uploads/${name}`,
                    }));
        }"""
    )
    page.wait_for_load_state("networkidle")
    assert page.evaluate("typeof harm") == "undefined"
    assert page.evaluate("getComputedStyle(document.body).color") == "rgb(0, 0, 0)"
    assert page.evaluate("document.querySelector('img').naturalWidth") == 9


def test_a_page_of_a_stranger_is_saved_and_not_shown(context: BrowserContext, site: Server) -> None:
    page = context.new_page()
    page.goto(f"{site.url}index.html")
    for name in ("page.html", "page.xhtml", "image.svg", "unknown"):
        with page.expect_download() as download:
            page.evaluate("url => { location = url }", f"{site.url}uploads/{name}")
        assert Path(download.value.path()).read_text() == UPLOADED[name]
        expect(page.locator("body")).to_contain_text("Our own page")
