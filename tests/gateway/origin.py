"""A real HTTP server behind the gateway, that does what the path says."""

from __future__ import annotations

import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Origin(ThreadingHTTPServer):
    """Answers ``/status/N``, ``/bytes/N`` and ``/stream/N``; waits at ``/gate`` until `open`."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.open = threading.Event()
        self.received: list[bytes] = []
        self._thread = threading.Thread(target=self.serve_forever, args=(0.01,))
        self._thread.start()

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.server_address[1]}"

    def stop(self) -> None:
        self.open.set()
        self.shutdown()
        self._thread.join()
        self.server_close()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Origin

    def handle_one_request(self) -> None:
        try:
            super().handle_one_request()
        except ConnectionError:
            self.close_connection = True  # the gateway cut what its client had cut

    def do_POST(self) -> None:
        self.server.received.append(self._body())
        self._answer()

    do_PUT = do_POST  # noqa: N815

    def do_GET(self) -> None:
        self._answer()

    do_HEAD = do_GET  # noqa: N815

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        pass

    def _body(self) -> bytes:
        if self.headers.get("Transfer-Encoding") != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length", 0)))
        pieces = []
        while size := int(self.rfile.readline(), 16):
            pieces.append(self.rfile.read(size))
            self.rfile.readline()
        self.rfile.readline()
        return b"".join(pieces)

    def _answer(self) -> None:
        kind, _, number = self.path.partition("?")[0].strip("/").partition("/")
        if kind == "gate":
            self.server.open.wait()
        status = int(number) if kind == "status" else 200
        size = int(number) if kind in ("bytes", "stream") else 2
        self.send_response(status)
        if kind == "stream":
            self.send_header("Connection", "close")
            self.close_connection = True
        elif status != 204:
            self.send_header("Content-Length", str(size))
        self.end_headers()
        if self.command != "HEAD" and status not in (204, 304):
            self.wfile.write(b"x" * size)
