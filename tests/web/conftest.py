from __future__ import annotations

import json
import re
import shutil
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import (
    Browser,
    BrowserContext,
    ConsoleMessage,
    Page,
    Playwright,
    expect,
    sync_playwright,
)

from tests.web.browsing import ELSEWHERE, Server, serving
from tests.web.libraries import fetch_packages
from tests.web.playground import SITE as PLAYGROUND_SITE
from tests.web.playground import Playground, running_playground
from tests.web.shows import ScriptedShow

CHROMIUM_FLAGS = [
    "--no-sandbox",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    f"--host-resolver-rules=MAP {ELSEWHERE} 127.0.0.1",
]

#: Milliseconds for what is expected to come about: more than a busy machine takes.
expect.set_options(timeout=20_000)

#: The page, with a backend behind it that takes the uploads.
SITE = """
setup {{
    module_load ("mod_progress", "mod_proxy");
    listen "127.0.0.1:0";
    progress.methods ("PUT");
}}
if req.path == "/progress" {{
    progress.show;
}} else if req.path =^ "/upload/" {{
    progress.track;
    proxy "127.0.0.1:{backend}";
}} else {{
    docroot "{web}";
    index ("index.html");
}}
"""


#: The page for visitors who know this machine under another name.
NAMED_SITE = """
setup {{
    module_load ("mod_access", "mod_progress");
    listen "127.0.0.1:0";
    progress.methods ("PUT");
}}
access.same_origin "{name}";
if req.path == "/progress" {{
    progress.show;
}} else if req.path =^ "/upload/" {{
    progress.track;
    upload.store "uploads";
}} else {{
    docroot "{web}";
    index ("index.html");
}}
"""


@pytest.fixture
def named_server(tmp_path: Path) -> Iterator[Server]:
    """A site that may be asked for under a name of its own."""
    site = tmp_path / "site.conf"
    site.write_text(NAMED_SITE.format(name=ELSEWHERE, web=files("mod_progress") / "web"))
    with serving(tmp_path, str(site)) as running:
        yield running


@pytest.fixture(scope="session")
def lasting_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """The default site, for all tests."""
    with serving(tmp_path_factory.mktemp("site"), "--listen", "127.0.0.1:0") as running:
        yield running


@pytest.fixture
def server(lasting_server: Server, shared_context: BrowserContext) -> Iterator[Server]:
    """The default site, without uploads, which the browser does not know."""
    yield lasting_server
    shutil.rmtree(lasting_server.uploads, ignore_errors=True)
    with shared_context.new_page() as page:
        page.goto(f"{lasting_server.url}icon.svg")
        page.evaluate("localStorage.clear()")


@pytest.fixture
def release() -> threading.Event:
    """Lets the backend answer."""
    return threading.Event()


@pytest.fixture
def backed_server(tmp_path: Path, release: threading.Event) -> Iterator[Server]:
    """The page before a backend that takes its time, and whose disk is full for some."""

    class Backend(BaseHTTPRequestHandler):
        def do_PUT(self) -> None:
            size = int(self.headers["Content-Length"])
            self.rfile.read(size)
            release.wait(30)
            self.send_response(507 if "too-much" in self.path else 201)
            body = json.dumps({"files": [{"name": "kept", "size": size}]}).encode()
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            """Say nothing."""

    site = tmp_path / "site.conf"
    with ThreadingHTTPServer(("127.0.0.1", 0), Backend) as backend:
        site.write_text(SITE.format(backend=backend.server_port, web=files("mod_progress") / "web"))
        threading.Thread(target=backend.serve_forever, args=(0.01,)).start()
        with serving(tmp_path, str(site)) as running:
            yield running
            release.set()
        backend.shutdown()


@pytest.fixture
def playground() -> Iterator[Playground]:
    with running_playground() as running:
        yield running


@pytest.fixture
def show(playground: Playground) -> Iterator[ScriptedShow]:
    """The playground as its own show, which says what the test sets."""
    show = ScriptedShow()
    playground.show = show
    yield show
    show.close()


@pytest.fixture(scope="package")
def lasting_playground(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Playground]:
    """A playground behind a gateway, for all tests."""
    folder = tmp_path_factory.mktemp("playground")
    site = folder / "site.conf"
    with running_playground() as playground:
        site.write_text(PLAYGROUND_SITE.format(port=playground.server_port))
        with serving(folder, str(site)) as gateway:
            playground.url = gateway.url
            yield playground


@pytest.fixture
def tracked_playground(lasting_playground: Playground) -> Iterator[Playground]:
    """A playground behind a gateway, which tracks what has an id."""
    lasting_playground.reset()
    yield lasting_playground
    lasting_playground.gate.set()


@pytest.fixture(scope="session")
def packages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the libraries from npm."""
    return fetch_packages(tmp_path_factory.mktemp("npm"))


@pytest.fixture(scope="package")
def playwright() -> Iterator[Playwright]:
    """Run Playwright no longer than needed: beside its event loop no other can run."""
    with sync_playwright() as running:
        yield running


@pytest.fixture(scope="package")
def browser(playwright: Playwright) -> Browser:
    return playwright.chromium.launch(
        executable_path="/usr/bin/chromium",
        args=CHROMIUM_FLAGS,
        # As people's browsers, it keeps pages for when somebody goes back.
        ignore_default_args=["--disable-back-forward-cache"],
    )


#: Requests that may fail, which the browser itself reports; the last is its own idea.
reported_by_browser = re.compile(r"/(uploads?/|progress(\?|$)|transfers/dump|favicon.ico)").search


@pytest.fixture(scope="package")
def shared_context(browser: Browser) -> BrowserContext:
    """The profile that pages share: to make one takes longer than to open a page in it."""
    return browser.new_context()


@pytest.fixture
def open_page(browser: Browser, shared_context: BrowserContext) -> Iterator[Callable[..., Page]]:
    """Open a page; none may complain of anything."""
    with page_opener(browser, shared_context) as opener:
        yield opener


@pytest.fixture(scope="module")
def lasting_page(browser: Browser, shared_context: BrowserContext) -> Iterator[Page]:
    """A page of the playground, for all tests of a module that leave nothing behind in it."""
    with running_playground() as playground, page_opener(browser, shared_context) as opener:
        yield opener(playground.url)


@contextmanager
def page_opener(browser: Browser, context: BrowserContext) -> Iterator[Callable[..., Page]]:
    """Yield what opens a page, in ``context`` or, with ``apart`` or options, in one of its own.

    In a ``still`` page no time passes, so nothing stalls, however slow the machine is.
    """
    closing: list[Page | BrowserContext] = []
    complaints: list[str] = []

    def complain(message: ConsoleMessage) -> None:
        pushless = "text/event-stream" in message.text
        if (
            message.type == "error"
            and not pushless
            and not reported_by_browser(message.location["url"])
        ):
            complaints.append(message.text)

    def listen(page: Page) -> None:
        page.on("console", complain)  # violations of the Content-Security-Policy, too
        page.on("pageerror", lambda error: complaints.append(str(error)))

    def open_page(url: str, apart: bool = False, still: bool = False, **options: Any) -> Page:
        own = browser.new_context(**options) if apart or options else None
        page = (own or context).new_page()
        closing.append(own or page)
        listen(page)
        if still:
            page.add_init_script("performance.now = () => 0;")
        page.goto(url)
        return page

    yield open_page
    for each in closing:
        each.close()
    assert complaints == []
