"""Shows that a test directs: they stream in every way that there is, and go away and come back."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from io import BufferedIOBase
from typing import Any
from urllib.parse import parse_qs, urlsplit

Members = dict[str, Any]
UNKNOWN: Members = {"state": "unknown"}
DONE: Members = {"state": "done", "received": 9, "sent": 1, "request_size": 9, "response_size": 1}


def running(received: int) -> Members:
    return {**DONE, "state": "running", "received": received}


def event(members: Members, identifier: str = "") -> bytes:
    return f"data: {json.dumps(members)}\nid: {identifier}\n\n".encode()


#: Writes a stream, given the ids and the Last-Event-ID of the request.
Stream = Callable[[BufferedIOBase, list[str], str], None]


class OddShow(ThreadingHTTPServer):
    """What it says of each id is in ``members``; of the others it knows nothing."""

    def __init__(self, stream: Stream | None = None, port: int = 0) -> None:
        super().__init__(("127.0.0.1", port), Handler)
        self.stream = stream
        self.members: dict[str, Members] = {}
        #: The status and reason of each answer, where it is a refusal.
        self.refusal: tuple[int, str] | None = None
        #: A field without which a question is refused.
        self.required: tuple[str, str] | None = None
        #: The questions in each format.
        self.polls = 0
        self.streams = 0
        #: Set when the show ends.
        self.over = threading.Event()
        self._thread = threading.Thread(target=self.serve_forever, args=(0.01,))
        self._thread.start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/progress"

    def close(self) -> None:
        """End it, unless that has been done."""
        if self.over.is_set():
            return
        self.over.set()
        self.shutdown()
        self._thread.join()
        self.server_close()


class Handler(BaseHTTPRequestHandler):
    server: OddShow
    protocol_version = "HTTP/1.0"

    def do_GET(self) -> None:
        required, refusal = self.server.required, self.server.refusal
        if required is not None and self.headers[required[0]] != required[1]:
            refusal = 401, "Unauthorized"
        if refusal is not None:
            self.send_response_only(*refusal)
            self.end_headers()
            return
        query = parse_qs(urlsplit(self.path).query)
        identifiers = query["X-Progress-ID"]
        streams = query["format"] == ["events"] and self.server.stream is not None
        self.send_response_only(200)
        self.send_header("Content-Type", "text/event-stream" if streams else "application/json")
        self.end_headers()
        if streams and self.server.stream is not None:
            self.server.streams += 1
            self.server.stream(self.wfile, identifiers, self.headers["Last-Event-ID"])
        else:
            self.server.polls += 1
            members = self.server.members.get(identifiers[0], UNKNOWN)
            self.wfile.write(json.dumps(members).encode())

    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def odd_show(stream: Stream | None = None, port: int = 0) -> Iterator[OddShow]:
    show = OddShow(stream, port)
    try:
        yield show
    finally:
        show.close()
