"""Pages for tests, and a server that has them, takes uploads and gives downloads."""

from __future__ import annotations

import socket
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import urlsplit

from mod_progress.show.script import MODULES, serve_script

#: What the strictest page allows: no inline script or style, no text that becomes a script.
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src data:; "
    "form-action 'self'; base-uri 'none'; require-trusted-types-for 'script'; trusted-types 'none'"
)

#: A gateway before the playground. It tracks what has an id.
SITE = """
setup {{
    module_load ("mod_progress", "mod_proxy");
    listen "127.0.0.1:0";
    progress.methods ("POST", "PUT", "GET");
    progress.server_timing true;
}}
if req.path == "/progress" {{
    progress.show;
}}
else if req.path == "/nginx" {{ progress.show "nginx"; }}
else if req.path == "/nginx.json" {{ progress.show "nginx.json"; }}
else if req.path == "/nginx.java" {{ progress.show "nginx.java"; }}
else if req.path == "/nginx.jsonp" {{ progress.show "nginx.jsonp"; }}
else if req.path == "/apache" {{ progress.show "apache"; }}
else {{
    progress.track;
    proxy "127.0.0.1:{port}";
}}
"""

PAGE = """<!doctype html><html lang="{language}"><meta charset="utf-8"><title>Playground</title>
<link rel="icon" href="data:,"><script type="module" src="/progress.js"></script>{body}</html>"""

HTML = "text/html; charset=utf-8"

#: Bytes of a download, in two halves.
DOWNLOAD_SIZE = 400_000


def page_of(body: str, language: str = "en") -> bytes:
    """Return a page that includes the script."""
    return PAGE.format(body=body, language=language).encode()


class Playground(ThreadingHTTPServer):
    """Serves its `pages` and `scripts` by path, the package's modules, and what pages try out.

    A POST is answered when `gate` is set, and so is the second half of a download.
    """

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        # The system lets it grow to tens of megabytes else, so that a body that is held fits in.
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 18)
        #: Where browsers reach it.
        self.url = f"http://127.0.0.1:{self.server_port}/"
        #: Answers GET /progress, where the playground is its own show.
        self.show: Callable[[BaseHTTPRequestHandler], None] | None = None
        self.reset()

    def reset(self) -> None:
        """Forget what a test has set."""
        self.pages: dict[str, bytes] = {"/": page_of("")}
        #: Scripts, and styles.
        self.scripts: dict[str, bytes] = {}
        self.policy = POLICY
        #: Lets what waits go on.
        self.gate = threading.Event()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing of pages that have left."""
        if not isinstance(sys.exception(), OSError):
            super().handle_error(request, client_address)


class _Handler(BaseHTTPRequestHandler):
    server: Playground
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        path = urlsplit(self.path).path
        name = path.lstrip("/")
        if path == "/progress" and self.server.show is not None:
            self.server.show(self)
        elif path.startswith("/download"):
            self._download(path)
        elif path in self.server.scripts:
            kind = "text/css" if path.endswith(".css") else "text/javascript"
            self.reply(200, kind, self.server.scripts[path])
        elif name in MODULES:
            answer = serve_script(path, lambda field: _encode(self.headers[field.decode()]))
            self.send_response(answer.status)
            for field, value in answer.fields:
                self.send_header(field, value)
            assert isinstance(answer.body, bytes)
            self._finish(answer.body)
        else:
            page = self.server.pages.get(path)
            self.reply(200 if page else 404, HTML, page or b"There is nothing here.")

    def do_PUT(self) -> None:
        self.do_POST()

    def do_POST(self) -> None:
        """Take a body, and answer as the last segment of the path says.

        Below ``/held/`` it takes nothing before the gate is open.
        """
        if self.path.startswith("/held/"):
            self.server.gate.wait(60)
        self.rfile.read(int(self.headers["Content-Length"]))
        self.server.gate.wait(60)
        outcome = urlsplit(self.path).path.rpartition("/")[2]
        if outcome == "redirect":
            self.send_response(303)
            self.send_header("Location", "/thanks")
            self._finish(b"")
        else:
            status = int(outcome) if outcome.isdigit() else 200
            self.reply(status, HTML, b"<p>This is what the server says.</p>")

    def reply(self, status: int, kind: str, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Cache-Control", "no-cache")  # the next test may have another
        self.send_header("Content-Security-Policy", self.server.policy)
        self._finish(body)

    def _finish(self, body: bytes) -> None:
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def _download(self, path: str) -> None:
        sized = "unsized" not in path
        self.send_response(200)
        self.send_header("Content-Type", "application/octet-stream")
        self.send_header("Content-Disposition", 'attachment; filename="film.bin"')
        if sized:
            self.send_header("Content-Length", str(DOWNLOAD_SIZE))
        else:
            self.send_header("Connection", "close")
        self.end_headers()
        for _ in range(2):
            self.wfile.write(bytes(DOWNLOAD_SIZE // 2))
            self.wfile.flush()
            self.server.gate.wait(60)

    def log_message(self, *_: Any) -> None:
        """Say nothing."""


def _encode(value: str | None) -> bytes | None:
    return None if value is None else value.encode("latin-1")


@contextmanager
def running_playground() -> Iterator[Playground]:
    with Playground() as playground:
        thread = threading.Thread(target=playground.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield playground
        finally:
            playground.gate.set()
            playground.shutdown()
            thread.join()
