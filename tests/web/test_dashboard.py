"""The dashboard of a real gateway in a browser, with real transfers."""

from __future__ import annotations

import csv
import json
import re
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from secrets import token_hex
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, BrowserContext, Locator, Page, expect

from mod_progress.asgi import ProgressMiddleware
from tests.web.browsing import Server, serving
from tests.web.conftest import page_opener
from tests.web.pushing import serving_asgi

SITE = """
setup {
    module_load ["mod_progress", "mod_access"];
    listen "127.0.0.1:0";
    progress.ttl 600;
    progress.methods ("GET", "POST", "PUT");
}
if req.path =^ "/transfers" {
    if req.remoteip =/ "127.0.0.0/8" { progress.dashboard; } else { access.deny; }
} else {
    progress.track;
    if req.path == "/done" { respond 200; }
    else if req.path =^ "/failed/" { respond 500; }
    else { upload.store "uploads"; }
}
"""

#: More transfers than the page loads, and how many it does.
MANY = 5200
MOST = 5000

#: The most rows that may be in the document: those of a high window, with some to spare.
IN_VIEW = 60


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    directory = tmp_path_factory.mktemp("site")
    (directory / "site.conf").write_text(SITE)
    with serving(directory, str(directory / "site.conf")) as running:
        yield running


@pytest.fixture(scope="module")
def page(browser: Browser, shared_context: BrowserContext, server: Server) -> Iterator[Page]:
    """The dashboard. Its requests carry an id, as if somebody wanted them to be tracked."""
    with page_opener(browser, shared_context) as open_page:
        yield open_page(
            f"{server.url}transfers",
            viewport={"width": 1400, "height": 900},
            extra_http_headers={"X-Progress-ID": "the-page-itself"},
        )


@contextmanager
def connected(server: Server) -> Iterator[socket.socket]:
    with socket.create_connection(("127.0.0.1", urlsplit(server.url).port or 0)) as client:
        yield client


def head(method: str, path: str, identifier: str, size: int) -> bytes:
    line = f"{method} {path}?X-Progress-ID={identifier} HTTP/1.1\r\n"
    return f"{line}Host: a\r\nContent-Length: {size}\r\n\r\n".encode()


def read_answers(client: socket.socket, count: int) -> None:
    """Read until so many answers have begun."""
    answers = b""
    while answers.count(b"HTTP/1.1 ") < count:
        part = client.recv(65536)
        assert part
        answers += part


def send(server: Server, method: str, path: str) -> None:
    """Send a request without a body, and read its answer."""
    with connected(server) as client:
        client.sendall(head(method, path, token_hex(16), 0))
        read_answers(client, 1)


def rows(page: Page) -> Locator:
    return page.locator("#rows").get_by_role("row")


def row(page: Page, path: str) -> Locator:
    return rows(page).filter(has_text=path)


@pytest.fixture(autouse=True)
def nothing_chosen(page: Page) -> None:
    """Let a test begin with all transfers, as the page shows them at first."""
    page.get_by_label("Filter").fill("")
    page.get_by_label("State").select_option("All")
    sort_by(page, "State", "ascending")
    page.evaluate("scrollTo(0, 0)")


def sort_by(page: Page, name: str, order: str) -> None:
    header = page.get_by_role("columnheader", name=name)
    while header.get_attribute("aria-sort") != order:
        header.get_by_role("button").click()


def test_an_upload_from_its_begin_to_its_end(page: Page, server: Server) -> None:
    with connected(server) as client:
        client.sendall(head("PUT", "/film.mkv", "0123456789abcdef", 2_000_000))
        film = row(page, "/film.mkv")
        expect(film).to_contain_text("0% of 2.0 MB")
        client.sendall(bytes(800_000))
        expect(film).to_contain_text("40% of 2.0 MB")
        expect(film.get_by_role("progressbar", name="Progress")).to_have_js_property("value", 0.4)
        # How fast all are sinks for seconds before it is less than 1 kB/s.
        expect(page.locator("#in")).to_have_text(re.compile(r"^[\d.]+ [kM]B/s$"))
        expect(page.locator("#running")).to_have_text("1")
        expect(film).to_contain_text(re.compile("Upload.*127.0.0.1.*sec.*Running", re.S))
        expect(page.locator("#chart .in")).to_have_attribute("d", re.compile(r"^M.*L"))
        expect(page.get_by_role("img", name=re.compile("^Rates .* now in .* out "))).to_be_visible()
        client.sendall(bytes(1_200_000))
        read_answers(client, 1)
    expect(film).to_contain_text(re.compile("100% of 2.0 MB.*Done", re.S))
    expect(page.locator("#running")).to_have_text("0")


def test_its_own_requests_are_in_no_number(page: Page, server: Server) -> None:
    send(server, "GET", "/failed/before")
    expect(row(page, "/failed/before")).to_contain_text("Failed (500)")
    page.get_by_label("Filter").fill("transfers/")
    expect(page.get_by_text("No transfer fits the filter.")).to_be_visible()
    listed = page.request.get(f"{server.url}transfers/dump?path=/transfers")
    assert (listed.headers["x-progress-total"], listed.json()) == ("0", [])


def test_it_is_used_by_keyboard(page: Page, server: Server) -> None:
    for number in range(3):
        send(server, "POST", f"/failed/key-{number}")
    page.keyboard.press("/")
    page.keyboard.type("KEY- failed")
    expect(rows(page)).to_have_count(3)
    expect(page.get_by_text(re.compile("^3 of [0-9,]+ transfers"))).to_be_visible()
    page.keyboard.press("Enter")
    sort_by(page, "Path", "descending")
    page.get_by_role("grid").focus()
    for _ in range(2):
        page.keyboard.press("ArrowDown")
    chosen = page.locator("#rows [aria-selected=true]")
    expect(chosen).to_contain_text("/failed/key-1")
    identifier = chosen.get_attribute("id") or ""
    expect(page.get_by_role("grid")).to_have_attribute("aria-activedescendant", identifier)
    page.keyboard.press("Enter")
    detail = page.get_by_role("dialog", name="POST /failed/key-1")
    expect(detail).to_contain_text(re.compile(r"Id[0-9a-f]{8}\.\.\..*Status500", re.S))
    page.keyboard.press("Escape")
    expect(detail).to_be_hidden()
    expect(page.get_by_role("grid")).to_be_focused()


def test_what_is_seen_is_saved(page: Page, server: Server, tmp_path: Path) -> None:
    send(server, "POST", "/failed/,%22saved%22")
    page.get_by_label("State").select_option("Failed")
    page.get_by_label("Filter").fill(',"saved"')
    expect(rows(page)).to_have_count(1)
    texts = {}
    for kind in ("JSON", "CSV"):
        with page.expect_download() as download:
            page.get_by_role("button", name=f"Save as {kind}").click()
        assert download.value.suggested_filename == f"transfers.{kind.lower()}"
        download.value.save_as(tmp_path / kind)
        texts[kind] = (tmp_path / kind).read_text()
    (entry,) = json.loads(texts["JSON"])
    (line,) = csv.DictReader(texts["CSV"].splitlines())
    assert (entry["path"], entry["status"]) == ('/failed/,"saved"', 500)
    assert line == {name: "" if value is None else str(value) for name, value in entry.items()}


def test_a_text_that_a_table_would_run_is_saved_as_text(page: Page) -> None:
    saved = page.evaluate(
        """async () => {
            const { toCsv } = await import("./dashboard-export.js");
            return toCsv([{ path: "=1+1", peer: "a,b" }, { path: "@x", peer: "-1" }]);
        }"""
    )
    assert saved == "path,peer\r\n'=1+1,\"a,b\"\r\n'@x,'-1\r\n"


def test_the_rates_are_those_of_what_is_new(page: Page) -> None:
    found = page.evaluate(
        """async () => {
            const { Transfers } = await import("./dashboard-transfers.js");
            const now = Date.parse("2026-01-31T12:00:00Z");
            const entry = (id, seconds, received, sent = 0) => ({
                id, received, sent, method: "PUT", path: "/a", peer: "", direction: "upload",
                started: new Date(now - 1000 * seconds).toISOString(), state: "running",
                request_size: 10_000, response_size: 0, status: 0, rate: 1,
            });
            const transfers = new Transfers();
            const update = (time, ...entries) => {
                transfers.update({ entries, states: {}, total: 0, now }, time);
                const rates = transfers.all.map(({ rate }) => rate);
                return [transfers.rateIn, transfers.rateOut, rates];
            };
            return [
                update(0, entry("a", 60, 5000)),
                // Two that look the same, one just begun, and one that was not loaded before.
                update(1000, entry("a", 60, 6000, 7), entry("a", 60, 10), entry("b", 1, 500),
                    entry("c", 90, 9)),
            ];
        }"""
    )
    assert found[0] == [None, None, [1]]
    rate_in, rate_out, rates = found[1]
    assert (rate_in, rate_out, rates) == (
        pytest.approx(1500),
        pytest.approx(7),
        pytest.approx([1000, 1, 1, 1]),
    )


def test_while_it_is_paused_it_asks_nothing(page: Page, server: Server) -> None:
    other = page.context.new_page()
    asked: list[str] = []
    other.on("request", lambda request: asked.append(request.url))
    other.clock.install()
    other.goto(f"{server.url}transfers/")
    news = other.get_by_role("status")
    expect(news).to_have_text("Live")
    other.keyboard.press("p")
    expect(news).to_have_text("Paused")
    expect(other.get_by_role("button", name="Pause")).to_have_attribute("aria-pressed", "true")

    def lists_asked() -> int:
        # Events come in the order of the requests: none is missing once this one is there.
        with other.expect_request("**/icon.svg"):
            other.evaluate("fetch('icon.svg')")
        return sum("/dump?" in url for url in asked)

    before = lists_asked()
    other.clock.run_for(60_000)
    assert lists_asked() == before > 0
    send(server, "POST", "/failed/later")
    other.keyboard.press("p")
    expect(row(other, "/failed/later")).to_be_visible()
    other.close()


def test_without_a_server_it_says_so_and_goes_on(page: Page, server: Server) -> None:
    send(server, "POST", "/failed/offline")
    expect(row(page, "/failed/offline")).to_be_visible()
    page.context.set_offline(True)
    try:
        news = page.get_by_role("status")
        expect(news).to_have_text("The server does not answer. It is asked again.")
        expect(row(page, "/failed/offline")).to_be_visible()
    finally:
        page.context.set_offline(False)
    expect(news).to_have_text("Live")


#: Whether each row has its texts, and is below the one before.
STACKED = """() => {
    const rows = [...document.querySelectorAll("#rows [role=row]")].slice(0, 5);
    const boxes = rows.map((row) => row.getBoundingClientRect());
    const fits = rows.every((row) => row.scrollHeight <= row.offsetHeight);
    return fits && boxes.every(
        (box, index) => !index || Math.abs(box.top - boxes[index - 1].bottom) < 1
    );
}"""


@pytest.mark.parametrize("direction", ["ltr", "rtl"])
def test_it_fits_every_window(page: Page, server: Server, direction: str) -> None:
    send(server, "POST", f"/failed/{'a-name-without-end-' * 8}")
    page.evaluate("direction => { document.documentElement.dir = direction }", direction)
    for width in (360, 800, 1400):
        page.set_viewport_size({"width": width, "height": 900})
        for scheme in ("light", "dark"):
            page.emulate_media(color_scheme=scheme)
            assert page.evaluate("document.documentElement.scrollWidth") == width
        page.wait_for_function(STACKED)
    page.evaluate("document.documentElement.dir = 'ltr'")


def test_of_thousands_only_those_in_view_are_in_the_document(page: Page, server: Server) -> None:
    with connected(server) as client:
        for start in range(0, MANY, 100):
            heads = (head("POST", "/done", f"done-{start + each}", 0) for each in range(100))
            client.sendall(b"".join(heads))
            read_answers(client, 100)
    expect(page.get_by_text(re.compile(r"^5,000 transfers; \d\d\d more$"))).to_be_visible()
    expect(page.locator("#running")).to_have_text("0")
    grid = page.get_by_role("grid", name="Transfers")
    expect(grid).to_have_attribute("aria-rowcount", str(MOST + 1))
    grid.focus()
    for key, index in (("End", MOST + 1), ("Home", 2)):
        page.keyboard.press(key)
        chosen = page.locator("#rows [aria-selected=true]")
        expect(chosen).to_have_attribute("aria-rowindex", str(index))
        expect(chosen).to_be_in_viewport()
        assert 10 < rows(page).count() < IN_VIEW
    page.evaluate("scrollTo(0, 50_000)")
    expect(rows(page).nth(10)).to_be_in_viewport()
    assert rows(page).count() < IN_VIEW


async def app(scope: object, receive: object, send: object) -> None:
    """Answer nothing: the middleware answers."""
    raise AssertionError("the app was asked")


def test_a_middleware_serves_it_too(browser: Browser, shared_context: BrowserContext) -> None:
    middleware = ProgressMiddleware(
        app, store="memory", dump=lambda scope: True, dashboard="/transfers/"
    )
    with serving_asgi(middleware) as url, page_opener(browser, shared_context) as open_page:
        page = open_page(f"{url}transfers")
        expect(page.get_by_role("status")).to_have_text("Live")
        expect(page.get_by_text("There are no transfers now.")).to_be_visible()
