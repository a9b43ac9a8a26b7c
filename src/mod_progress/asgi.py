"""ASGI middleware: ``app = ProgressMiddleware(app)``."""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable, MutableMapping
from pathlib import Path
from typing import Any

from mod_progress.asgi_answers import Message as Message
from mod_progress.asgi_answers import Receive as Receive
from mod_progress.asgi_answers import Send as Send
from mod_progress.asgi_answers import respond, server_is_ending
from mod_progress.delivery import follow_transfer
from mod_progress.framing import BODILESS, parse_size
from mod_progress.identifier import FIELD
from mod_progress.middleware import TRACKED, BaseMiddleware
from mod_progress.show.question import Question
from mod_progress.show.ticker import Ticker
from mod_progress.transfer import Transfer

__all__ = ["ProgressMiddleware"]

Scope = MutableMapping[str, Any]
Application = Callable[[Scope, Receive, Send], Awaitable[None]]


class ProgressMiddleware(BaseMiddleware[Application]):
    """Tracks the transfers of an ASGI 3 application, and answers how far they are.

    `middleware.BaseMiddleware` documents the parameters. Paths are the application's own, without
    the ``root_path`` that it is mounted at.
    """

    def _make_ticker(self) -> Ticker:
        return Ticker(self._tracker, server_is_ending)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve what a server calls an application for: one request, or the lifespan."""
        # Every request comes by here. So it is one function, with the cheapest tests first.
        if scope["type"] != "http":
            await self.app(scope, receive, send)
        elif scope["path"].endswith(self._show) and self._asks(scope["method"], _path(scope)):
            await self._answer(scope, receive, send)
        elif not self._considers(scope["method"]) or (transfer := self._track(scope)) is None:
            await self.app(scope, receive, send)
        else:
            exchange = _Exchange(scope, receive, send, transfer)
            try:
                await self.app(scope, exchange.receive, exchange.send)
            except BaseException as error:
                exchange.fail(error)
                raise
            exchange.end()

    def _track(self, scope: Scope) -> Transfer | None:
        query, headers = scope.get("query_string", b""), dict(scope["headers"])
        identifier = headers.get(FIELD)
        if not (query or identifier or self._options.debug):
            return None
        if not (self._selects(_path(scope), scope) and self._is_new(scope)):
            return None
        size = parse_size(headers.get(b"content-length"))
        if size is None and not _announces_body(scope, headers):
            size = 0
        return self._tracker.track(scope["method"], query, identifier, size)

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = dict(scope["headers"])
        question = Question(scope["method"], scope.get("query_string", b""), headers.get)
        await respond(self._responder.answer(question), question.method, receive, send)


class _Exchange:
    """One tracked request and its response, on their way between the server and the app."""

    __slots__ = (
        "_complete",
        "_counts",
        "_delivery",
        "_handed_over",
        "_left",
        "_receive",
        "_send",
        "_trailers",
        "_transfer",
    )

    def __init__(self, scope: Scope, receive: Receive, send: Send, transfer: Transfer) -> None:
        self._receive = receive
        self._send = send
        self._transfer = transfer
        self._delivery = follow_transfer(transfer, scope.get("server"), scope.get("client"))
        self._counts = scope["method"] != "HEAD"
        self._trailers = False
        self._complete = False
        self._handed_over = False
        self._left = False
        scope[TRACKED] = transfer

    async def receive(self) -> Message:
        message = await self._receive()
        kind = message["type"]
        if kind == "http.request":
            self._transfer.received += len(message.get("body", b""))
            if not message.get("more_body"):
                self._transfer.request_ended()
        elif kind == "http.disconnect" and not self._complete:
            self._left = True
            self._delivery.cut()
        return message

    async def send(self, message: Message) -> None:
        kind = message["type"]
        if kind == "http.response.start":
            status = message["status"]
            size = self._begin(status, message)
            await self._send(message)
            self._transfer.response_started(status, size)
        elif kind in _PARTS:
            count, more = _PARTS[kind]
            if self._counts:
                self._transfer.written += count(message)
            self._complete = not (message.get(more) or (self._trailers and more == "more_body"))
            await self._send(message)
            if self._complete and not self._handed_over:
                self._handed_over = True
                self._delivery.handed_over()
        else:
            await self._send(message)

    def _begin(self, status: int, message: Message) -> int | None:
        """Take in the head of a response; return its body's size, None while nobody knows it."""
        self._trailers = message.get("trailers", False)
        if not self._counts or status in BODILESS:
            self._counts = False
            return 0
        size = parse_size(dict(message.get("headers", ())).get(b"content-length"))
        self._delivery.begins(size)
        return size

    def fail(self, error: BaseException) -> None:
        """The app failed, or was cancelled: that, no server answers."""
        self._left = self._left or not isinstance(error, Exception)
        self.end()

    def end(self) -> None:
        """The app returned, or failed. A server answers 500 for one that sent no response."""
        if self._handed_over:
            return
        if self._left or self._transfer.status:
            self._delivery.cut()
        else:
            self._transfer.response_started(500, 0)
            self._delivery.handed_over()


def _path(scope: Scope) -> str:
    """Return the path inside the application: ``path`` without the ``root_path`` before it.

    The ``root_path`` is taken off as path segments: ``/progress`` is not inside ``/pro``. Servers
    that leave it out of ``path`` are understood too.
    """
    path: str = scope["path"]
    root: str = (scope.get("root_path") or "").rstrip("/")
    if root and path.startswith(root) and path[len(root) : len(root) + 1] in ("/", ""):
        return path[len(root) :] or "/"
    return path


def _announces_body(scope: Scope, headers: dict[bytes, bytes]) -> bool:
    """Whether a body may follow (RFC 9112, section 6.3; HTTP/2 needs no header for one)."""
    return (
        b"content-length" in headers
        or b"transfer-encoding" in headers
        or not scope["http_version"].startswith("1")
    )


def _count_body(message: Message) -> int:
    return len(message.get("body", b""))


def _count_path(message: Message) -> int:
    return Path(message["path"]).stat().st_size


def _count_zero_copy(message: Message) -> int:
    """``count`` bytes of the file from ``offset``; by default from where it is, to its end."""
    count: int | None = message.get("count")
    if count is not None:
        return count
    descriptor = message["file"].fileno()
    offset: int | None = message.get("offset")
    if offset is None:
        offset = os.lseek(descriptor, 0, os.SEEK_CUR)
    return os.fstat(descriptor).st_size - offset


#: The messages that a response's body and end are made of: how many bytes of the body they stand
#: for, and the member that says whether another follows.
_PARTS: dict[str, tuple[Callable[[Message], int], str]] = {
    "http.response.body": (_count_body, "more_body"),
    "http.response.pathsend": (_count_path, "more_body"),
    "http.response.zerocopysend": (_count_zero_copy, "more_body"),
    "http.response.trailers": (lambda message: 0, "more_trailers"),
}
