"""Makes the pictures of the documentation from real transfers: ``python scripts/screenshots.py``.

A gateway stands before a backend that takes its time. docs/bar.svg is one upload, as its show told
it, played again; the PNGs are the built-in pages in Chromium while uploads run.
"""

from __future__ import annotations

import http.client
import json
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.resources import files
from pathlib import Path
from typing import Any, NamedTuple

from playwright.sync_api import Browser, sync_playwright

DOCS = Path(__file__).parents[1] / "docs"

SITE = """
setup {{
    module_load ["mod_progress", "mod_proxy"];
    listen "127.0.0.1:0";
    progress.methods ("POST", "PUT");
    progress.ttl 60;
}}
if req.path == "/progress" {{ progress.show; }}
else if req.path =^ "/transfers" {{ progress.dashboard; }}
else if req.path =^ "/upload" or req.path =^ "/photos" or req.path =^ "/backup" {{
    progress.track;
    proxy "127.0.0.1:{port}";
}}
else {{ docroot "{web}"; index "index.html"; }}
"""

#: Seconds that the backend takes when it has a body.
THOUGHT = 1.5

#: Bytes of the upload that is recorded, and bytes a second.
SIZE = 31_457_280
RATE = 6_000_000

#: Seconds between two questions about it.
PERIOD = 0.15


class Backend(BaseHTTPRequestHandler):
    """Takes a body, thinks, and answers."""

    def do_PUT(self) -> None:
        """Do as for a POST."""
        self.do_POST()

    def do_POST(self) -> None:
        """Answer when the body is here and the time is over."""
        self.rfile.read(int(self.headers["Content-Length"]))
        time.sleep(THOUGHT)
        self.send_response(200)
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"ok")

    def log_message(self, *_: Any) -> None:
        """Say nothing."""


@contextmanager
def gateway() -> Iterator[int]:
    """Run the backend and the gateway; yield the gateway's port."""
    command = Path(sys.executable).with_name("mod-progress")
    with (
        tempfile.TemporaryDirectory() as folder,
        ThreadingHTTPServer(("127.0.0.1", 0), Backend) as backend,
    ):
        threading.Thread(target=backend.serve_forever, daemon=True).start()
        site = Path(folder, "site.conf")
        site.write_text(SITE.format(port=backend.server_port, web=files("mod_progress") / "web"))
        with subprocess.Popen(
            [command, "serve", site], cwd=folder, stdout=subprocess.PIPE, text=True
        ) as process:
            assert process.stdout is not None
            try:
                yield int(process.stdout.readline().strip().rstrip("/").rpartition(":")[2])
            finally:
                process.terminate()
                backend.shutdown()


def paced(size: int, rate: float) -> Iterator[bytes]:
    """Yield a body at about so many bytes a second."""
    begin, sent = time.monotonic(), 0
    while sent < size:
        part = min(65536, size - sent)
        yield bytes(part)
        sent += part
        ahead = sent / rate - (time.monotonic() - begin)
        if ahead > 0:
            time.sleep(ahead)


def send(port: int, path: str, identifier: str, size: int, rate: float) -> threading.Thread:
    """Begin an upload."""

    def run() -> None:
        client = http.client.HTTPConnection("127.0.0.1", port)
        target = f"{path}?X-Progress-ID={identifier}"
        client.request("POST", target, paced(size, rate), {"Content-Length": str(size)})
        client.getresponse().read()

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    return thread


class Moment(NamedTuple):
    """What a show told, and when: seconds from the first that was not ``unknown``."""

    seconds: float
    received: int
    state: str


def record(port: int) -> list[Moment]:
    """Upload, ask all the time, and return what was told until the end."""
    send(port, "/upload/film.mp4", "recorded", SIZE, RATE)
    client = http.client.HTTPConnection("127.0.0.1", port)
    moments: list[Moment] = []
    begin = 0.0
    while not moments or moments[-1].state == "running":
        client.request("GET", "/progress?X-Progress-ID=recorded")
        show = json.load(client.getresponse())
        if show["state"] != "unknown":
            begin = begin or time.monotonic()
            told = Moment(time.monotonic() - begin, show["received"], show["state"])
            if not moments or told[1:] != moments[-1][1:]:
                moments.append(told)
        time.sleep(PERIOD)
    return moments


#: The bar, in light and dark. One cycle is the upload and a pause.
PICTURE = """<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 640 150" width="640" height="150"
    role="img" aria-label="A bar fills as an upload comes in. Then it says: processing, done.">
<style>
  text {{ font: 15px system-ui, sans-serif; fill: #1f2328; }}
  .quiet {{ fill: #59636e; font-size: 13px; }}
  .code {{ font: 12.5px ui-monospace, monospace; fill: #59636e; }}
  .card {{ fill: #f6f8fa; stroke: #d1d9e0; }}
  .track {{ fill: #d1d9e0; }}
  .bar {{ fill: #1a7f37; animation: bar {cycle:.2f}s linear infinite; transform-origin: 24px 0; }}
  .moment {{ visibility: hidden; animation: {cycle:.2f}s step-end infinite; }}
  @media (prefers-color-scheme: dark) {{
    text {{ fill: #f0f6fc; }} .quiet, .code {{ fill: #9198a1; }}
    .card {{ fill: #151b23; stroke: #3d444d; }}
    .track {{ fill: #3d444d; }} .bar {{ fill: #3fb950; }}
  }}
  @keyframes bar {{ {bar} }}
{moments}
</style>
<rect class="card" x="0.5" y="0.5" width="639" height="149" rx="8"/>
<text x="24" y="36" font-weight="600">film.mp4</text>
<rect class="track" x="24" y="50" width="592" height="12" rx="6"/>
<rect class="bar" x="24" y="50" width="592" height="12" rx="6"/>
{texts}
</svg>
"""


def draw(moments: list[Moment]) -> str:
    """Return the upload as a picture that moves."""
    cycle = moments[-1].seconds + 2
    steps = [*((moment.seconds / cycle * 100) for moment in moments), 100.0]
    bar = [
        f"{step:.1f}% {{ transform: scaleX({moment_part(moment):.4f}); }}"
        for step, moment in zip(steps, moments, strict=False)
    ]
    bar.append("100% { transform: scaleX(1); }")
    shown, texts = [], []
    for number, moment in enumerate(moments):
        begin, end = steps[number], steps[number + 1]
        rest = f"{end:.1f}% {{ visibility: hidden; }}" if end < 100 else ""
        before = "0% { visibility: hidden; }" if number else ""
        shown.append(
            f"  @keyframes m{number} {{ {before} {begin:.1f}% {{ visibility: visible; }} {rest} }}"
        )
        texts.append(describe(number, moment))
    return PICTURE.format(
        cycle=cycle, bar=" ".join(bar), moments="\n".join(shown), texts="\n".join(texts)
    )


def moment_part(moment: Moment) -> float:
    """Return how much of the file is there: 0 to 1."""
    return moment.received / SIZE


def describe(number: int, moment: Moment) -> str:
    """Return the words of a moment, as the bar has them."""
    word = f"{moment_part(moment):.0%}"
    if moment.received == SIZE:
        word = "Processing" if moment.state == "running" else "Done"
    amount = f"{moment.received / 1e6:.1f} of {SIZE / 1e6:.1f} MB"
    show = (
        f'{{"state": "{moment.state}", "received": {moment.received}, "request_size": {SIZE}, …}}'
    )
    return (
        f'<g class="moment" style="animation-name: m{number}">'
        f'<text x="616" y="36" text-anchor="end">{word}</text>'
        f'<text class="quiet" x="24" y="86">{amount}</text>'
        f'<text class="code" x="24" y="124">{show}</text></g>'
    )


def photograph_dashboard(browser: Browser, port: int) -> None:
    """Make the picture of the dashboard, when its chart has something to show."""
    uploads = [
        ("/upload/film.mp4", 734_003_200, 9e6),
        ("/upload/talk.mov", 1_200_000_000, 21e6),
        ("/photos/2026.zip", 90_000_000, 4e6),
        ("/photos/cat.jpg", 2_400_000, 8e6),
        ("/backup/monday.tar", 4_000_000_000, 33e6),
    ]
    for number, upload in enumerate(uploads):
        path, size, rate = upload
        send(port, path, f"own~picture{number}", size, rate)
    page = browser.new_page(viewport={"width": 1400, "height": 500})
    page.goto(f"http://127.0.0.1:{port}/transfers/")
    page.wait_for_timeout(12_000)
    page.screenshot(path=DOCS / "dashboard.png")
    page.close()


def photograph_page(browser: Browser, port: int) -> None:
    """Make the picture of the page to upload, while the browser sends."""
    page = browser.new_page(viewport={"width": 800, "height": 800})
    session = page.context.new_cdp_session(page)
    page.goto(f"http://127.0.0.1:{port}/")
    slow = {"offline": False, "latency": 0, "downloadThroughput": -1, "uploadThroughput": 900_000}
    session.send("Network.emulateNetworkConditions", slow)
    sizes = {"film.mp4": 9_000_000, "talk.mov": 4_200_000, "notes.pdf": 800_000}
    with tempfile.TemporaryDirectory() as folder:
        for name, size in sizes.items():
            Path(folder, name).write_bytes(bytes(size))
        paths = [str(Path(folder, name)) for name in sizes]
        page.get_by_label("Choose files").set_input_files(paths)
        page.wait_for_timeout(6000)
        page.screenshot(path=DOCS / "page.png")
    page.close()


def main() -> None:
    """Make all pictures."""
    with gateway() as port, sync_playwright() as playwright:
        (DOCS / "bar.svg").write_text(draw(record(port)))
        browser = playwright.chromium.launch(
            executable_path="/usr/bin/chromium", args=["--no-sandbox"]
        )
        photograph_dashboard(browser, port)
        photograph_page(browser, port)
        browser.close()


if __name__ == "__main__":
    main()
