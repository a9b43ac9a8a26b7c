"""One tracked request of an ASGI application, and its response."""

from __future__ import annotations

import errno
import os
from collections.abc import Awaitable, Callable, MutableMapping
from pathlib import Path
from typing import Any

from mod_progress.delivery.watch import follow_transfer
from mod_progress.framing import BODILESS, parse_size, parse_status
from mod_progress.middleware import TRACKED
from mod_progress.tracker import logger
from mod_progress.transfer import Transfer

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]


#: What an app gets, and what it is told where it sends, when its transfer was cancelled.
_DISCONNECT: Message = {"type": "http.disconnect"}
_CANCELLED = "the transfer was cancelled"

#: The versions of HTTP in which a connection carries one request at a time.
_EXCLUSIVE = ("1.0", "1.1")


class Exchange:
    """Counts what passes between the server and the app, and passes it on as it is."""

    __slots__ = (
        "_complete",
        "_delivery",
        "_handed_over",
        "_is_head",
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
        self._is_head = scope["method"] == "HEAD"
        #: Whether trailers follow the body.
        self._trailers = False
        #: Whether the app has passed the last part of its response, and whether the server took it.
        self._complete = self._handed_over = False
        #: Whether the client has left.
        self._left = False
        self._delivery.exclusive = scope["http_version"] in _EXCLUSIVE
        scope[TRACKED] = transfer
        transfer.served_by(self)

    async def receive(self) -> Message:
        """Pass a message of the server on to the app."""
        message = await self._receive()
        kind = message["type"]
        if kind == "http.request":
            self._transfer.received += len(message.get("body") or b"")
            if not message.get("more_body"):
                self._transfer.request_ended()
        elif kind == "http.disconnect" and not self._complete:
            self._left = True
            self._delivery.cut()
        return message

    async def send(self, message: Message) -> None:
        """Pass a message of the app on to the server."""
        # Every part of every body comes by here, so counting it takes no further calls.
        kind = message["type"]
        head = None
        whole = False
        if kind in _PARTS:
            count, more = _PARTS[kind]
            transfer, limit = self._transfer, self._delivery.limit
            try:
                written = transfer.written + count(message)
            except Exception:
                logger.debug("a part of a response is not counted", exc_info=True)
            else:
                transfer.written = written if written < limit else limit
            whole = transfer.written == limit and not self._trailers
            if not message.get(more):
                whole = self._ends(more)
        elif kind == "http.response.start":
            if hasattr(message.get("headers"), "__next__"):  # they can be read only once
                message = {**message, "headers": list(message["headers"])}
            head = self._begin(message)
        try:
            await self._send(message)
        except OSError:
            self._left = True  # since ASGI 2.4 a server says so by this
            raise
        if head is not None:
            self._transfer.response_started(*head)
        elif whole and not self._handed_over:
            self._handed_over = True
            self._delivery.handed_over()

    def _begin(self, message: Message) -> tuple[int, int | None]:
        """Take note of the head of a response; return its status, and its body's size if known."""
        self._trailers = bool(message.get("trailers"))
        status = parse_status(message.get("status"))
        bodiless = self._is_head or status in BODILESS
        size = 0 if bodiless else _content_length(message.get("headers"))
        self._delivery.begins(size)
        return status, size

    def _ends(self, more: str) -> bool:
        """Whether the response is whole, when its body or its trailers end."""
        if self._trailers and more == "more_body":
            return False
        self._complete = True
        self._delivery.passes_end()
        return True

    def cancel(self, transfer: Transfer) -> None:
        """Let the app see at its next step that the client is gone, and end the connection."""
        self._left = True
        self._receive, self._send = _receive_disconnect, _refuse_to_send
        self._delivery.cancel(transfer)

    def fail(self, error: BaseException) -> None:
        """The app failed, or was cancelled. No server answers a request that was cancelled."""
        self._left = self._left or not isinstance(error, Exception)
        self.end()

    def end(self) -> None:
        """The app returned or failed. A server answers 500 for one that sent no response."""
        if self._handed_over:
            return
        if self._left or self._transfer.status:
            self._delivery.cut()
        else:
            self._transfer.response_started(500, 0)
            self._delivery.handed_over()


async def _receive_disconnect() -> Message:
    return dict(_DISCONNECT)


async def _refuse_to_send(message: Message) -> None:
    """Raise what says since ASGI 2.4 that the client is gone."""
    raise ConnectionResetError(errno.ECONNRESET, _CANCELLED)


def _content_length(headers: Any) -> int | None:
    """Return the size of the body as the headers give it. Not all frameworks write lower case."""
    try:
        for name, value in headers:
            if name.lower() == b"content-length":
                return parse_size(value)
    except Exception:
        logger.debug("the headers of a response cannot be read", exc_info=True)
    return None


def _count_body(message: Message) -> int:
    return len(message.get("body") or b"")


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


#: The messages that make up the body of a response and its end: how many bytes of the body each
#: stands for, and the member that says whether another message follows.
_PARTS: dict[str, tuple[Callable[[Message], int], str]] = {
    "http.response.body": (_count_body, "more_body"),
    "http.response.pathsend": (_count_path, "more_body"),
    "http.response.zerocopysend": (_count_zero_copy, "more_body"),
    "http.response.trailers": (lambda message: 0, "more_trailers"),
}
