"""The page's modules by themselves: words, estimates, the documented client."""

from __future__ import annotations

from collections.abc import Callable
from importlib.resources import files
from pathlib import Path

import pytest
from playwright.sync_api import Page

from tests.web.browsing import Server, make_file, serving, throttled

WORDS = {
    "size(0)": "0 bytes",
    "size(1)": "1 byte",
    "size(999)": "999 bytes",
    "size(1000)": "1 kB",
    "size(999_600)": "1.0 MB",
    "size(50_000_000)": "50.0 MB",
    "size(2_500_000_000, 'second')": "2.5 GB/s",
    "size(5e15)": "5,000.0 TB",
    "duration(0.2)": "1 s",
    "duration(59.4)": "59 s",
    "duration(60)": "1 min",
    "duration(61)": "1 min 1 s",
    "duration(3600)": "1 h",
    "duration(7260)": "2 h 1 min",
    "refusal(413)": "the file is too large for the server (413)",
    "refusal(418)": "the server refused it (418)",
    "refusal(599)": "something went wrong on the server (599)",
}


def test_words(open_page: Callable[..., Page], server: Server) -> None:
    page = open_page(server.url)
    functions = page.evaluate_handle("import('./words.js')")
    said = {
        expression: functions.evaluate(f"({{ size, duration, refusal }}) => {expression}")
        for expression in WORDS
    }
    assert said == WORDS


#: A site whose page is the example of docs/browser.md.
EXAMPLE_SITE = """
setup {{
    module_load "mod_progress";
    listen "127.0.0.1:0";
}}
if req.path == "/progress" {{
    progress.show;
}} else if req.path == "/upload" {{
    progress.track;
    upload.store "{directory}/uploads";
}} else {{
    docroot "{directory}";
    index ("index.html");
}}
"""


def test_the_example_of_the_documentation_works(
    open_page: Callable[..., Page], tmp_path: Path
) -> None:
    documentation = (Path(__file__).parents[2] / "docs" / "browser.md").read_text()
    example = documentation.split("```html\n")[1].split("```")[0]
    (tmp_path / "index.html").write_text(f"<!doctype html><link rel=icon href=data:,>{example}")
    client = files("mod_progress") / "web" / "progress.js"
    (tmp_path / "progress.js").write_bytes(client.read_bytes())
    (tmp_path / "site.conf").write_text(EXAMPLE_SITE.format(directory=tmp_path))
    film = make_file(tmp_path / "film.mkv", 5_000_000)
    with serving(tmp_path, str(tmp_path / "site.conf")) as server:
        page = open_page(server.url)
        with throttled(page, 5_000_000), page.expect_response("**/upload?*") as response:
            page.locator("#file").set_input_files(film)
            page.wait_for_function("bar.value > 0 && bar.value < 1")
        assert response.value.status == 201
        assert (server.uploads / "film.mkv").read_bytes() == film.read_bytes()


def test_an_estimate_forgets_old_rates(open_page: Callable[..., Page], server: Server) -> None:
    module = open_page(server.url).evaluate_handle("import('./progress.js')")
    rates = module.evaluate(
        """({ Estimate }) => {
            const estimate = new Estimate();
            let received = 0;
            return Array.from({ length: 41 }, (_, second) => {
                estimate.note(received, 1000 * second);
                const told = [estimate.rate, estimate.secondsTo(3000)];
                received += second < 20 ? 100 : 50;
                return told;
            });
        }"""
    )
    assert rates[0] == [None, None]
    assert rates[1] == [100, 29]
    assert rates[20] == pytest.approx([100, 10])
    assert 50 < rates[22][0] < 100
    assert rates[40] == pytest.approx([50, 0], abs=0.1)
