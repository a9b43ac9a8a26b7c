"""The dashboard of a gateway with two workers: what it is pushed, and how it cancels."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from socketserver import ThreadingMixIn
from threading import Thread
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

import pytest
from playwright.sync_api import Browser, BrowserContext, Locator, Page, Request, expect

from mod_progress.wsgi import ProgressMiddleware
from tests.web.browsing import Server, make_file, serving
from tests.web.conftest import page_opener
from tests.web.test_dashboard import STACKED, connected, head, read_answers, row, rows

SITE = """
setup {
    module_load "mod_progress";
    listen "127.0.0.1:0";
    workers 2;
    progress.ttl 600;
    progress.methods ("GET", "POST", "PUT");
}
if req.path =^ "/transfers" { progress.dashboard "cancel"; }
else if req.path =^ "/watched" { progress.dashboard; }
else { progress.track; upload.store "uploads"; }
"""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    directory = tmp_path_factory.mktemp("site")
    (directory / "site.conf").write_text(SITE)
    with serving(directory, str(directory / "site.conf")) as running:
        yield running


@pytest.fixture(scope="module")
def page(browser: Browser, shared_context: BrowserContext, server: Server) -> Iterator[Page]:
    with page_opener(browser, shared_context) as open_page:
        yield open_page(f"{server.url}transfers/", viewport={"width": 1400, "height": 900})


@contextmanager
def uploading(server: Server, path: str, folder: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Upload by curl what takes longer than the test."""
    film = make_file(folder / "film", 5_000_000)
    url = f"{server.url}{path}?X-Progress-ID=own~{folder.name}"
    command = ["curl", "-s", "--limit-rate", "50k", "-T", str(film), url]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL) as sending:
        try:
            yield sending
        finally:
            sending.kill()


def cancel_button(line: Locator) -> Locator:
    return line.get_by_role("button", name=re.compile("^Cancel .*film"))


def test_bars_of_all_workers_move_by_one_stream(page: Page, server: Server) -> None:
    asked: list[str] = []

    def note(request: Request) -> None:
        if "/dump" in request.url:
            asked.append(request.url)

    page.on("request", note)
    page.reload()
    # Either worker may take each of them, and either may serve the page.
    with ExitStack() as stack:
        clients = [stack.enter_context(connected(server)) for _ in range(4)]
        for number, client in enumerate(clients):
            client.sendall(head("PUT", f"/many-{number}", f"id-of-many-{number}", 2_000_000))
        lines = [row(page, f"/many-{number}") for number in range(len(clients))]
        pushed, before = 0, list[str]()
        # On a machine that stands still for seconds the page asks meanwhile, and then no longer.
        for percent in range(1, 100):
            pushed = pushed + 1 if asked == before else 0
            if pushed == 3:
                break
            before = [*asked]
            import time

            print(time.time(), percent, asked)
            for client in clients:
                client.sendall(bytes(20_000))
            for line in lines:
                expect(line).to_contain_text(f"{percent}% of 2.0 MB")
        assert pushed == 3
        assert any(url.endswith("/dump?sort=state&limit=5000") for url in asked)
        expect(page.locator("#running")).to_have_text("4")
        for client in clients:
            client.sendall(bytes(2_000_000 - 20_000 * (percent - 1)))
            read_answers(client, 1)
    for line in lines:
        expect(line).to_contain_text("Done")
    expect(page.locator("#running")).to_have_text("0")
    page.remove_listener("request", note)


def test_a_button_ends_an_upload_once_it_is_confirmed(
    page: Page, server: Server, tmp_path: Path
) -> None:
    with uploading(server, "film-by-button", tmp_path) as sending:
        line = row(page, "/film-by-button")
        cancel_button(line).click()
        asks = page.get_by_role("dialog", name="Cancel this transfer?")
        expect(asks).to_contain_text("PUT /film-by-button of 127.0.0.1")
        expect(asks.get_by_role("button", name="Let it run")).to_be_focused()
        page.keyboard.press("Escape")
        expect(asks).to_be_hidden()
        expect(line).to_contain_text("Running")
        cancel_button(line).click()
        asks.get_by_role("button", name="Cancel the transfer").click()
        expect(page.locator("#outcome")).to_have_text(
            re.compile(r"^PUT /film-by-button of 127\.0\.0\.1: It is (being )?cancelled, .*\.$")
        )
        assert sending.wait(60)
    expect(line).to_contain_text("Cut off")
    expect(cancel_button(line)).to_be_hidden()
    assert not list(server.uploads.glob("film-by-button*"))


def test_a_key_ends_the_chosen_upload(page: Page, server: Server, tmp_path: Path) -> None:
    with uploading(server, "film-by-key", tmp_path) as sending:
        expect(row(page, "/film-by-key")).to_contain_text("Running")
        page.keyboard.press("/")
        page.keyboard.type("film-by-key")
        page.keyboard.press("Enter")
        expect(rows(page)).to_have_count(1)
        for key in ("ArrowDown", "c", "Shift+Tab", "Enter"):
            page.keyboard.press(key)
        expect(page.locator("#outcome")).to_contain_text("PUT /film-by-key of 127.0.0.1: It is")
        assert sending.wait(60)
        expect(rows(page)).to_contain_text(["Cut off"])
        # What has ended is not asked for.
        page.keyboard.press("c")
        expect(page.get_by_role("dialog")).to_be_hidden()
    page.get_by_label("Filter").fill("")


def test_rows_with_a_button_fit_every_window(page: Page, server: Server, tmp_path: Path) -> None:
    with uploading(server, "a-long-name-of-a-film-" * 6, tmp_path):
        line = row(page, "/a-long-name-of-a-film-")
        for width in (360, 800, 1100, 1400):
            page.set_viewport_size({"width": width, "height": 900})
            expect(cancel_button(line)).to_be_in_viewport(ratio=1)
            assert page.evaluate("document.documentElement.scrollWidth") == width
            page.wait_for_function(STACKED)


def test_who_may_only_watch_has_no_button(
    browser: Browser, shared_context: BrowserContext, server: Server, tmp_path: Path
) -> None:
    with (
        page_opener(browser, shared_context) as open_page,
        uploading(server, "film-to-watch", tmp_path),
    ):
        page = open_page(f"{server.url}watched/")
        line = row(page, "/film-to-watch")
        expect(line).to_contain_text("Running")
        expect(cancel_button(line)).to_be_hidden()
        line.click()
        page.keyboard.press("Escape")
        page.keyboard.press("c")
        expect(page.get_by_role("dialog")).to_be_hidden()


def test_a_stream_that_is_held_back_is_not_waited_for(
    browser: Browser, shared_context: BrowserContext, server: Server
) -> None:
    page = shared_context.new_page()
    page.clock.install()
    # As a proxy does that gathers the whole answer first.
    page.route("**/dump?sort=state&limit=5000", lambda route: None)
    page.goto(f"{server.url}transfers/")
    page.clock.run_for(11_000)
    expect(page.locator("#news")).to_have_text("Live")
    page.close()


class _Quiet(WSGIRequestHandler):
    def log_message(self, *_: object) -> None:
        """Say nothing."""


class _Threading(ThreadingMixIn, WSGIServer):
    daemon_threads = True


@contextmanager
def serving_wsgi(app: Any) -> Iterator[str]:
    """Serve a WSGI app with threads, of which there are too few for streams."""
    with make_server("127.0.0.1", 0, app, _Threading, _Quiet) as running:
        thread = Thread(target=running.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield f"http://127.0.0.1:{running.server_port}/"
        finally:
            running.shutdown()
            thread.join()


def test_where_streams_are_refused_it_asks_again_and_again(
    browser: Browser, shared_context: BrowserContext
) -> None:
    middleware = ProgressMiddleware(
        lambda environ, start: [],
        store="memory",
        dump=lambda environ: True,
        cancel=lambda environ: True,
        dashboard="/transfers/",
    )
    tracked = middleware._tracker.track("POST", b"X-Progress-ID=abc", None, 100, path="/film")
    assert tracked is not None
    with serving_wsgi(middleware) as url, page_opener(browser, shared_context) as open_page:
        page = open_page(f"{url}transfers/")
        expect(page.locator("#news")).to_have_text("Live")
        line = row(page, "/film")
        for received in (20, 40):
            tracked.received = received
            expect(line).to_contain_text(f"{received}% of 100 bytes")
        cancel_button(line).click()
        page.get_by_role("button", name="Cancel the transfer").click()
        expect(line).to_contain_text("Cut off")
