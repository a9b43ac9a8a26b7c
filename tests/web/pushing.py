"""A page, and uploads, on a real ASGI server whose middleware pushes progress."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlencode

import httpx
import uvicorn

from mod_progress.asgi import ProgressMiddleware
from mod_progress.show.script import MODULES, serve_script
from tests.web.playground import page_of


class PushingApp:
    """Serves one page and the package's modules; takes each POST when `gate` is set."""

    def __init__(self) -> None:
        self.page = page_of("")
        self.gate = threading.Event()
        self.url = ""
        #: The queries of all questions about progress.
        self.asked: list[str] = []
        self._middleware = ProgressMiddleware(self._serve, store="memory")

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["path"] == "/progress":
            self.asked.append(scope["query_string"].decode())
        await self._middleware(scope, receive, send)

    async def _serve(self, scope: Any, receive: Any, send: Any) -> None:
        path = scope["path"]
        if scope["method"] == "POST":
            while (await receive()).get("more_body"):
                pass
            while not self.gate.is_set():
                await asyncio.sleep(0.02)
            await _respond(send, [(b"content-type", b"text/plain")], b"saved")
        elif path.lstrip("/") in MODULES:
            answer = serve_script(path, dict(scope["headers"]).get)
            fields = [(name.lower().encode(), value.encode()) for name, value in answer.fields]
            assert isinstance(answer.body, bytes)
            await _respond(send, fields, answer.body, answer.status)
        else:
            await _respond(send, [(b"content-type", b"text/html")], self.page)

    def send(self, identifier: str, body: Iterator[bytes]) -> None:
        """Upload under an id, as another client than the page."""
        query = urlencode({"X-Progress-ID": identifier})
        httpx.post(f"{self.url}upload?{query}", content=body, timeout=60)


async def _respond(
    send: Any, fields: list[tuple[bytes, bytes]], body: bytes, status: int = 200
) -> None:
    if status != 304:
        fields = [*fields, (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": status, "headers": fields})
    await send({"type": "http.response.body", "body": body})


@contextmanager
def serving_asgi(app: Any) -> Iterator[str]:
    """Serve an ASGI app; yield its URL."""
    config = uvicorn.Config(app, port=0, log_level="critical", lifespan="off")
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        while not server.started:
            thread.join(0.01)
            assert thread.is_alive()
        yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}/"
    finally:
        server.should_exit = server.force_exit = True
        thread.join()


@contextmanager
def running_app() -> Iterator[PushingApp]:
    app = PushingApp()
    with serving_asgi(app) as app.url:
        yield app
        app.gate.set()
