"""ASGI middleware: ``app = ProgressMiddleware(app)``."""

from __future__ import annotations

import os
import sys
from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from concurrent.futures import Future
from pathlib import Path
from typing import Any

from mod_progress.delivery.watch import follow_transfer
from mod_progress.identifier import PARAMETER
from mod_progress.middleware import BODILESS, TRACKED, Front, Response, Track, parse_size
from mod_progress.options import Options
from mod_progress.stores.contract import Store
from mod_progress.tracker import logger
from mod_progress.transfer import Transfer

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Application = Callable[[Scope, Receive, Send], Awaitable[None]]

_IDENTIFIER = PARAMETER.lower().encode()


class ProgressMiddleware:
    """Tracks the transfers of an ASGI 3 application, and shows them.

    - ``show``: the path that answers for an id, and ``format``, what it answers where the query
      parameter ``format`` names no other: ``json``, ``jsonp`` or ``legacy``;
    - ``track``: which requests with an id are tracked: all (None), those whose path begins with
      a prefix or one of several, or those for which a callable on the scope is true;
    - ``ttl``: seconds for which a finished transfer stays readable;
    - ``methods``: the request methods that are tracked;
    - ``debug``: whether to log why a request is tracked or not;
    - ``store``: where other processes find the transfers: ``local`` for those of this machine,
      ``redis://…`` for those of many, ``memory`` for none;
    - ``allow_origins``: origins whose pages may read the show, or ``*`` for any.

    Paths are the application's own, without the ``root_path`` that it is mounted at. Raises
    `options.OptionError` where a parameter is not what it takes.
    """

    def __init__(
        self,
        app: Application,
        *,
        show: str = "/progress",
        format: str = "json",  # noqa: A002 - the query parameter's name too
        track: Track = None,
        ttl: float = 30.0,
        methods: Iterable[str] = ("POST",),
        debug: bool = False,
        store: str | Store = "local",
        allow_origins: str | Iterable[str] = (),
    ) -> None:
        self.app = app
        self.front = Front(
            show=show,
            format=format,
            track=track,
            options=Options(ttl=ttl, methods=methods, debug=debug),  # type: ignore[arg-type]
            store=store,
            allow_origins=allow_origins,
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection's event: a request, or what is not our business."""
        # In one function and cheap tests first: every request comes by.
        if scope["type"] != "http":
            await self.app(scope, receive, send)
        elif scope["path"].endswith(self.front.show) and self.front.answers(
            scope["method"], _path(scope)
        ):
            await self._show(scope, send)
        elif not self.front.considers(scope["method"]) or (transfer := self._track(scope)) is None:
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
        front = self.front
        query, headers = scope.get("query_string", b""), dict(scope["headers"])
        identifier = headers.get(_IDENTIFIER)
        if not (query or identifier or front.options.debug):
            return None
        if not front.wants(_path(scope), scope):
            return None
        if TRACKED in scope:
            logger.warning("ProgressMiddleware is there twice: a request is tracked once")
            return None
        size = parse_size(headers.get(b"content-length"))
        if size is None and b"transfer-encoding" not in headers and _is_http1(scope):
            size = 0  # no body follows (RFC 9112, section 6); HTTP/2 needs no header for one
        return front.tracker.track(scope["method"], query, identifier, size)

    async def _show(self, scope: Scope, send: Send) -> None:
        method = scope["method"]
        query, headers = scope.get("query_string", b""), dict(scope["headers"])
        origin = headers.get(b"origin")
        response = self.front.answer(
            method, query, headers.get(_IDENTIFIER), origin.decode("latin-1") if origin else None
        )
        if isinstance(response, Future):
            response = await _wait(response)
        await _respond(response, method, send)


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
    """Return the path inside the application; ``path`` has the ``root_path`` in front of it."""
    path: str = scope["path"]
    root = scope.get("root_path")
    return path.removeprefix(root) if root else path


def _is_http1(scope: Scope) -> bool:
    return bool(scope["http_version"].startswith("1"))


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


async def _wait(response: Future[Response]) -> Response:
    """Wait for a store that is far, on asyncio or on trio."""
    trio = sys.modules.get("trio")
    if trio is not None and trio.lowlevel.in_trio_run():
        waited: Response = await trio.to_thread.run_sync(response.result, abandon_on_cancel=True)
        return waited
    import asyncio  # slow to import, and a server that runs on it has it anyway

    return await asyncio.wrap_future(response)


async def _respond(response: Response, method: str, send: Send) -> None:
    headers = [(name.lower().encode(), value.encode()) for name, value in response.headers]
    if response.status != 204:
        headers.append((b"content-length", b"%d" % len(response.body)))
    await send({"type": "http.response.start", "status": response.status, "headers": headers})
    body = b"" if method == "HEAD" else response.body
    await send({"type": "http.response.body", "body": body})
