"""An app that takes uploads: whole, in halves, slowly, or not at all."""

from __future__ import annotations

import asyncio
import json

from mod_progress.asgi import ProgressMiddleware
from mod_progress.asgi.exchange import Receive, Scope, Send

#: Bytes after which an upload to /half waits for a POST to /release.
HALF = 1_000_000

#: The answers to an upload that are not a plain 201: status, type, text.
ANSWERS = {
    "/too-large": (
        413,
        b"text/plain; charset=utf-8",
        b"one \x1b[31mmegabyte\x1b[0m at most\nno more",
    ),
    "/no-key": (401, b"application/json", b'{"error": "a key is needed"}'),
    "/not-valid": (422, b"application/json", b'{"detail": [{"msg": "x"}]}'),
    "/broken": (500, b"text/html", b"<h1>Oh no</h1>"),
    "/moved": (308, b"text/plain", b"elsewhere"),
    "/form": (303, b"text/plain", b"thanks"),
}

released = asyncio.Event()


async def app(scope: Scope, receive: Receive, send: Send) -> None:
    """Take an upload; tell its size and its header fields."""
    path = scope["path"]
    if path == "/early":
        await answer(send, 413, b"text/plain", b"that is too much")
        return
    if path in ("/half", "/held"):
        released.clear()
    size, more = 0, True
    while more:
        message = await receive()
        size += len(message.get("body", b""))
        more = message.get("more_body", False)
        if path == "/half" and size >= HALF:
            await released.wait()
    if path == "/release":
        released.set()
    elif path == "/held":
        await released.wait()
    status, kind, text = ANSWERS.get(path, (201, b"application/json", b""))
    await answer(send, status, kind, text or tell(scope, size))


def tell(scope: Scope, size: int) -> bytes:
    """Return what came, in JSON."""
    headers = {name.decode(): value.decode("latin-1") for name, value in scope["headers"]}
    query = scope["query_string"].decode()
    told = {"method": scope["method"], "path": scope["raw_path"].decode(), "query": query}
    return json.dumps(told | {"size": size, "headers": headers}).encode()


async def answer(send: Send, status: int, kind: bytes, text: bytes) -> None:
    headers = [(b"content-type", kind), (b"location", b"/there")]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": text})


def may_list(scope: Scope) -> bool:
    """Whether a request has the key."""
    return (b"key", b"geheim") in scope["headers"]


tracked = ProgressMiddleware(app, methods=["POST", "PUT"], dump=may_list)
untracked = app
