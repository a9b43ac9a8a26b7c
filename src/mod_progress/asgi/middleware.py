"""The ASGI middleware: what it does with each request."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import cached_property, partial

from mod_progress.asgi.answers import respond
from mod_progress.asgi.exchange import Exchange, Message, Receive, Scope, Send
from mod_progress.asgi.timed_exchange import TimedExchange
from mod_progress.finished import EndNotifier
from mod_progress.framing import parse_size
from mod_progress.identifier import FIELD
from mod_progress.middleware import BaseMiddleware
from mod_progress.show.question import Question
from mod_progress.show.ticker import Ticker
from mod_progress.shutdown import shutdown
from mod_progress.tracker import logger
from mod_progress.transfer import Transfer

__all__ = ["ProgressMiddleware"]

Application = Callable[[Scope, Receive, Send], Awaitable[None]]

#: The messages by which an app says that its lifespan is over.
_LAST = ("lifespan.shutdown.complete", "lifespan.shutdown.failed")


class ProgressMiddleware(BaseMiddleware[Application]):
    """Tracks the transfers of an ASGI 3 application, and answers how far they are.

    `middleware.BaseMiddleware` documents the parameters. Paths are the application's own, without
    the ``root_path`` that it is mounted at.
    """

    @cached_property
    def _exchange(self) -> type[Exchange]:
        return TimedExchange if self._options.server_timing else Exchange

    def _make_ticker(self) -> Ticker:
        return Ticker(self._tracker, shutdown)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve what a server calls an application for: one request, or the lifespan."""
        # Every request comes by here. So it is one function, with the cheapest tests first.
        if scope["type"] != "http":
            await self._pass(scope, receive, send)
        elif scope["path"].endswith(self._ends) and self._asks(scope["method"], _path(scope)):
            await self._answer(scope, receive, send)
        elif not self._considers(scope["method"]) or (transfer := self._track(scope)) is None:
            await self.app(scope, receive, send)
        else:
            exchange = self._exchange(scope, receive, send, transfer)
            try:
                await self.app(scope, exchange.receive, exchange.send)
            except BaseException as error:
                exchange.fail(error)
                raise
            exchange.end()

    async def _pass(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let the app serve something else than a request."""
        notifier = self._notifier
        if notifier is not None and scope["type"] == "lifespan":
            send = partial(_send_last, notifier, send)
        await self.app(scope, receive, send)

    def _track(self, scope: Scope) -> Transfer | None:
        query, headers = scope.get("query_string", b""), dict(scope["headers"])
        identifier = headers.get(FIELD)
        if not (query or identifier or self._identify or self._options.debug):
            return None
        if not (self._selects(_path(scope), scope) and self._is_new(scope)):
            return None
        if self._identify is not None and (query := self._name(query, scope)) is None:
            return None
        size = parse_size(headers.get(b"content-length"))
        if size is None and not _announces_body(scope, headers):
            size = 0
        return self._tracker.track(
            scope["method"],
            query,
            identifier,
            size,
            path=scope["path"],
            peer=_peer(scope),
        )

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = dict(scope["headers"])
        question = Question(scope["method"], scope.get("query_string", b""), headers.get)
        path = _path(scope)
        if self._asks_for_dump(question, path):
            permitted = await _ask_permission("dump", self._permit, scope)
            permit = self._permit_cancel if self._is_for_rows(path) else None
            cancels = await _ask_permission("cancel", permit, scope)
            answer = self._dump(question, path, permitted, cancels)
        elif self._asks_for_metrics(path):
            permitted = await _ask_permission("metrics", self._permit_metrics, scope)
            answer = self._measure(question, permitted)
        elif self._needs_permission_to_cancel(question, path):
            permitted = await _ask_permission("cancel", self._permit_cancel, scope)
            answer = self._cancel(question, permitted)
        else:
            answer = self._answer_to(question, path)
        await respond(answer, question.method, receive, send)


async def _ask_permission(
    what: str, permit: Callable[[Scope], object] | None, scope: Scope
) -> object:
    """Return what the callable says that permits ``what``. An exception of its is logged."""
    try:
        permitted = None if permit is None else permit(scope)
        return await permitted if isinstance(permitted, Awaitable) else permitted
    except Exception:
        logger.exception("no %s: the callable failed", what)
        return False


async def _send_last(notifier: EndNotifier, send: Send, message: Message) -> None:
    """Hand over the ends that wait for ``on_end``, before the server learns that the app is done.

    Later it may be too late: uvicorn ends by the signal that it got, without exit functions.
    """
    if message["type"] in _LAST:
        notifier.close()
    await send(message)


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


def _peer(scope: Scope) -> str:
    """Return the client's address; an empty string where the server does not tell it."""
    try:
        peer: str = scope["client"][0]
    except (KeyError, TypeError, IndexError):
        return ""
    return peer


def _announces_body(scope: Scope, headers: dict[bytes, bytes]) -> bool:
    """Whether a body may follow (RFC 9112, section 6.3; HTTP/2 needs no header for one)."""
    return (
        b"content-length" in headers
        or b"transfer-encoding" in headers
        or not scope["http_version"].startswith("1")
    )
