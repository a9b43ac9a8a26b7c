"""Apps behind both middlewares, served by a module: ``... tests.systems.apps asgi``.

The server prints its port. A POST is answered with the size of its body, a GET with 60,000 bytes.
STORE is the store's name; without it there is the default.
"""

from __future__ import annotations

import asyncio
import logging
import os
import socket
import sys
from collections.abc import Iterable
from socketserver import ThreadingMixIn
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

import uvicorn

from mod_progress.asgi import ProgressMiddleware as AsgiMiddleware
from mod_progress.wsgi import ProgressMiddleware as WsgiMiddleware

#: Bytes of a download: as many as a server takes at once.
SIZE = 60_000

OPTIONS: dict[str, Any] = {
    "methods": ("GET", "POST"),
    "store": os.environ.get("STORE"),
    "ttl": 600,
}


async def answer(scope: Any, receive: Any, send: Any) -> None:
    """Answer by ASGI."""
    size, more = 0, True
    while more:
        message = await receive()
        size += len(message["body"])
        more = message["more_body"]
    body = bytes(SIZE) if scope["method"] == "GET" else str(size).encode()
    length = str(len(body)).encode()
    await send(
        {"type": "http.response.start", "status": 200, "headers": [(b"content-length", length)]}
    )
    await send({"type": "http.response.body", "body": body})


def answer_wsgi(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
    """Answer by WSGI."""
    left = size = int(environ.get("CONTENT_LENGTH") or 0)
    while left:
        left -= len(environ["wsgi.input"].read(min(left, 1000)))
    body = bytes(SIZE) if environ["REQUEST_METHOD"] == "GET" else str(size).encode()
    start_response("200 OK", [("Content-Length", str(len(body)))])
    return [body]


class _ThreadingServer(ThreadingMixIn, WSGIServer):
    daemon_threads = True


class _Quiet(WSGIRequestHandler):
    def log_message(self, *_: Any) -> None:
        """Say nothing."""


def serve_asgi() -> None:
    """Serve by uvicorn and asyncio."""
    app = AsgiMiddleware(answer, **OPTIONS)
    listening = socket.create_server(("127.0.0.1", 0))
    print(listening.getsockname()[1], flush=True)
    config = uvicorn.Config(app, lifespan="off", log_level="warning")
    asyncio.run(uvicorn.Server(config).serve(sockets=[listening]))


def serve_wsgi() -> None:
    """Serve by the standard library."""
    app = WsgiMiddleware(answer_wsgi, **OPTIONS)
    with make_server("127.0.0.1", 0, app, _ThreadingServer, _Quiet) as server:
        print(server.server_port, flush=True)
        server.serve_forever()


if __name__ == "__main__":
    logging.basicConfig(format="%(message)s")
    {"asgi": serve_asgi, "wsgi": serve_wsgi}[sys.argv[1]]()
