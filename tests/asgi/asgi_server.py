"""An ASGI server as far as the tests of the middleware need one, and apps for it."""

import asyncio
import contextlib
import json
from collections.abc import Iterable
from typing import Any

import anyio
import httpx

from mod_progress.asgi import ProgressMiddleware
from mod_progress.asgi.exchange import Message, Receive, Scope, Send
from mod_progress.asgi.middleware import Application
from tests.answers import Answer

Headers = Iterable[tuple[bytes, bytes]]

DISCONNECT = {"type": "http.disconnect"}


def scope(
    method: str = "POST",
    path: str = "/upload",
    headers: Iterable[tuple[bytes, bytes]] = (),
    **members: Any,
) -> Scope:
    """A request as a server describes it; its id is ``id``."""
    return {
        "type": "http",
        "http_version": "1.1",
        "method": method,
        "path": path,
        "query_string": b"X-Progress-ID=id",
        "headers": list(headers),
        **members,
    }


def body(*parts: bytes) -> list[Message]:
    """The messages that carry a request body in these parts."""
    return [
        {"type": "http.request", "body": part, "more_body": more}
        for more, part in zip([*[True] * (len(parts) - 1), False], parts, strict=True)
    ]


def start(status: int = 200, size: int | None = None, **members: Any) -> Message:
    headers = [] if size is None else [(b"content-length", str(size).encode())]
    return {"type": "http.response.start", "status": status, "headers": headers, **members}


def part(data: bytes = b"", more: bool = False) -> Message:
    return {"type": "http.response.body", "body": data, "more_body": more}


def app_of(*messages: Message | BaseException, reads: bool = True) -> Application:
    """An app that reads the whole body, or not, and sends these messages."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        while reads and (message := await receive())["type"] == "http.request":
            if not message["more_body"]:
                break
        for each in messages:
            if isinstance(each, BaseException):
                raise each
            await send(each)

    return app


class Server:
    """The other side: it gives the request's messages and keeps those of the response."""

    def __init__(self, *received: Message) -> None:
        self.to_give = list(received)
        self.sent: list[Message] = []

    async def receive(self) -> Message:
        return self.to_give.pop(0) if self.to_give else DISCONNECT

    async def send(self, message: Message) -> None:
        self.sent.append(message)


def serve(
    app: Application, request: Scope, *received: Message, **parameters: Any
) -> tuple[Answer, Server]:
    """Run one request; return the answer of a show afterwards, and the server."""
    middleware = ProgressMiddleware(app, store="memory", **parameters)
    server = Server(*received)
    with contextlib.suppress(RuntimeError, asyncio.CancelledError):
        asyncio.run(middleware(request, server.receive, server.send))
    return show(middleware), server


def show(middleware: ProgressMiddleware, path: str = "/progress") -> Answer:
    server = Server()
    asyncio.run(middleware(scope("GET", path), server.receive, server.send))
    assert server.sent[0]["status"] == 200
    answer: Answer = json.loads(server.sent[1]["body"])
    return answer


def ask(
    app: Application, method: str, url: str, *, runs_on: str = "asyncio", **request: Any
) -> httpx.Response:
    """Send a request as a client does; return the response."""

    async def ask() -> httpx.Response:
        transport = httpx.ASGITransport(app)
        # To read all authorities would take 25 ms.
        async with httpx.AsyncClient(
            transport=transport, base_url="http://app", verify=False
        ) as client:
            return await client.request(method, url, **request)

    return anyio.run(ask, backend=runs_on)
