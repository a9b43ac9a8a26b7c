"""One client: requests in, answers out, one at a time, in order."""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import Awaitable
from threading import get_ident
from typing import TYPE_CHECKING

from mod_progress.gateway.actions.poll import Poll
from mod_progress.gateway.exchange import NOT_FOUND, Exchange, refusal_response
from mod_progress.gateway.http.heads import HEAD_END, Refusal
from mod_progress.gateway.http.request import RequestHead, check_incomplete, parse_request
from mod_progress.gateway.streams.body import Body, ChunkedBody
from mod_progress.gateway.streams.patience import Patience
from mod_progress.gateway.streams.stream import NEVER, Cut, Slow, Stream
from mod_progress.transfer import Transfer

if TYPE_CHECKING:
    from mod_progress.gateway.server.worker import Worker

logger = logging.getLogger("mod_progress.gateway")

#: RFC 9112, section 2.2: empty lines before a request are ignored.
_EMPTY_LINES = re.compile(rb"\A(?:\r\n)++")


class Connection(Stream):
    """One client's connection."""

    __slots__ = (
        "_exchange",
        "_head_begun",
        "_lingering",
        "_patience",
        "_poll",
        "_poll_bytes",
        "_scanned",
        "_task",
        "_unsettled",
        "limits",
        "onward",
        "peer",
        "scheme",
        "tracker",
        "trusted",
        "worker",
    )

    def __init__(self, worker: Worker, scheme: str = "http") -> None:
        super().__init__(worker.loop)
        self.worker = worker
        self.tracker = worker.tracker
        self.limits = worker.site.limits
        self.scheme = scheme
        self.read_time = self.write_time = self.limits.body_idle_time
        self.most_buffered = max(1, self.limits.pipelined_size)
        #: The client's address; ("", -1) on a Unix socket.
        self.peer: tuple[str, int] = ("", -1)
        #: Whether the client is a front proxy that is believed in what it says of its own client.
        self.trusted = False
        #: The last request that went on to a backend, and the head that it went on with.
        self.onward: tuple[RequestHead | None, bytes] = None, b""
        self._exchange: Exchange | None = None
        self._task: asyncio.Task[None] | None = None
        # How much of the buffer is known to hold no end of a head.
        self._scanned = 0
        # Whether the time for a head runs: from its first byte on.
        self._head_begun = False
        # How long the client may still keep us waiting for a body, where there is a least rate.
        self._patience: Patience | None = None
        # Once the last response is handed over: bytes that may still come before we close.
        self._lingering: int | None = None
        # The last question how far a transfer is, and the very bytes that asked it: who polls asks
        # again in the same bytes, and on one connection they mean the same each time.
        self._poll: Poll | None = None
        self._poll_bytes = b""
        # Transfers whose response is handed over, each with the position of its last byte: they
        # are done when the client has acknowledged it.
        self._unsettled: list[tuple[int, Transfer]] = []

    # What the transport calls.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Wait for the first request."""
        super().connection_made(transport)
        self.peer = _address(transport.get_extra_info("peername"))
        self.read_deadline = self.loop.time() + self.limits.idle_time
        self.trusted = self.worker.site.trusts(self.peer[0])
        self.worker.opened(self)

    def data_received(self, data: bytes) -> None:
        """Serve the requests that are complete, or keep the bytes for the one being served."""
        if data == self._poll_bytes and self._answer_again():
            return
        self._poll_bytes = b""
        if self._lingering is not None:
            self._linger_on(len(data))
        elif self._exchange is not None or self._room is not None:
            super().data_received(data)
        else:
            self._poll = None
            alone = not self.buffer and data.find(HEAD_END) + len(HEAD_END) == len(data)
            self.buffer = self.buffer + data if self.buffer else data
            self._advance()
            if alone and self._poll is not None:
                self._poll_bytes = data

    def eof_received(self) -> bool:
        """Close where nothing is left to answer; else answer it first (RFC 9112, section 9.6)."""
        half_open = super().eof_received()
        self.acknowledge()
        self._close_if_ended()
        return half_open

    def resume_writing(self) -> None:
        """Go on with what was pipelined while the client did not read."""
        super().resume_writing()
        if self._exchange is None:
            self._advance()
            self._close_if_ended()

    def _close_if_ended(self) -> None:
        """Close where the client will send nothing more and nothing is left to answer."""
        if self.ended and self._exchange is None and self._room is None:
            self.close()

    def reset(self) -> None:
        """The client is gone: what is done for it ends."""
        self.abort()

    def connection_lost(self, error: Exception | None) -> None:
        """Stop what serves this client: nothing goes on for nobody."""
        super().connection_lost(error)
        if self._task is not None:
            # Not before its first step: a coroutine that never began concludes nothing.
            self.loop.call_soon(self._task.cancel)
        elif self._exchange is not None and self._exchange.quick is not None:
            self._exchange.quick.abandon()
            self.conclude(self._exchange)
        self._settle_unacknowledged()
        self.worker.closed(self)

    def read_expired(self) -> None:
        """The client was silent for too long."""
        if self._exchange is not None:
            super().read_expired()
        elif self._lingering is None and self._head_begun and self._room is None:
            self._refuse(Refusal(408, "the request's head did not come in time"))
        else:
            self.close()

    # Requests in.

    def _advance(self) -> None:
        """Serve what is in the buffer, one request after the other."""
        while self.buffer and self._exchange is None and not self.lost:
            if self._lingering is not None or self._room is not None:
                return
            try:
                head = self._take_head()
                if head is None:
                    return
                request = parse_request(head, self.worker.head_limits)
                exchange = Exchange(self, request, self._body(request))
            except Refusal as refusal:
                self._refuse(refusal)
                return
            self._serve(exchange)

    def _take_head(self) -> bytes | None:
        """Take one whole head off the buffer; raises `Refusal` as early as it cannot become one."""
        if self.buffer[:1] == b"\r":
            self.buffer = _EMPTY_LINES.sub(b"", self.buffer)
        end = self.buffer.find(HEAD_END, self._scanned) + len(HEAD_END)
        if end >= len(HEAD_END):
            self._scanned = 0
            self._head_begun = False
            self.read_deadline = NEVER
            return self.take(end)
        check_incomplete(self.buffer, self._scanned, self.worker.head_limits)
        self._scanned = max(0, len(self.buffer) - len(HEAD_END) + 1)
        self._wait_for_head()
        return None

    def _wait_for_head(self) -> None:
        """Wait for the rest of a head, so long as one may take from its first byte to its end."""
        self.resume_reading()
        if self.ended:
            self.close()
        elif not self._head_begun:
            self._head_begun = True
            self.read_deadline = self.loop.time() + self.limits.head_time

    def _body(self, request: RequestHead) -> Body:
        limit = self.limits.body_size
        if request.chunked:
            return ChunkedBody(self, limit)
        length = request.content_length or 0
        if limit and length > limit:
            raise Refusal(413, "the body is too large")
        return Body(self, length)

    def _answer_again(self) -> bool:
        """Answer a poll that repeats the last one, if nothing is in its way."""
        if self._poll is None or self._room is not None:
            return False
        answer = self._poll.repeat(self.tracker, self.worker.date)
        if answer is None:
            return False
        self.write(answer)
        self.read_deadline = self.worker.now + self.limits.idle_time
        return True

    # Answers out.

    def _serve(self, exchange: Exchange) -> None:
        """Run the actions, then what answers: at once, or in a task where it has to wait."""
        self._exchange = exchange
        try:
            self.worker.site.action(exchange)
            handler = exchange.handler or exchange.fallback or NOT_FOUND
            work = handler.handle(exchange)
        except Exception as error:
            self.fail(exchange, error)
            self._settle(exchange)
            return
        if work is not None:
            self.resume(exchange, work)
        elif exchange.finished:
            self._settle(exchange)

    def resume(self, exchange: Exchange, work: Awaitable[None]) -> None:
        """Let a task do the work, and conclude the exchange after it."""
        self._task = self.loop.create_task(self._wait_for(exchange, work))

    async def _wait_for(self, exchange: Exchange, work: Awaitable[None]) -> None:
        try:
            await work
        except asyncio.CancelledError:
            pass  # the client is gone, or the worker ends: what is not finished is cut
        except Exception as error:
            self.fail(exchange, error)
        self._task = None
        self.conclude(exchange)

    def fail(self, exchange: Exchange, error: Exception) -> None:
        """Answer for an error where that is still possible; else the response stays cut."""
        if isinstance(error, Slow) and error.stream is self:
            error = Refusal(408, "the client was too slow")
        elif not isinstance(error, Refusal | Cut | OSError):
            logger.error("while serving %s", exchange.request.path, exc_info=error)
            error = Refusal(500, "an error of the gateway's own")
        if isinstance(error, Refusal) and not exchange.started and not self.lost:
            exchange.refuse(error)

    def _refuse(self, refusal: Refusal) -> None:
        """Answer what is no request, and close: nothing after it can be trusted."""
        self.buffer = b""
        self.write(refusal_response(refusal, self.worker.date))
        self._linger()

    def conclude(self, exchange: Exchange) -> None:
        """The response is handed over, or it is cut: go on with what was pipelined."""
        self._settle(exchange)
        self._advance()

    def _settle(self, exchange: Exchange) -> None:
        """Settle the transfer; then the next request, or the end."""
        self._exchange = self._patience = None
        if self.worker.access_log is not None:
            self.worker.access_log.write(exchange)
        if not exchange.finished:
            exchange.transfer.cut()
            self._cut(exchange)
            return
        if exchange.transfer.identifier:
            exchange.transfer.unacknowledged = self._unacknowledged_by_now
            self._unsettled.append((self.handed, exchange.transfer))
            self.worker.settle_soon(self)
        if self.lost:
            self._settle_unacknowledged()
            return
        if exchange.keep_alive and not self.worker.draining:
            self.read_deadline = self.worker.now + self.limits.idle_time
            if isinstance(exchange.handler, Poll) and exchange.repeatable:
                self._poll = exchange.handler
            if len(self.buffer) < self.most_buffered:
                self.resume_reading()
            if not self.buffer:
                self._close_if_ended()
        else:
            self._linger()

    def _cut(self, exchange: Exchange) -> None:
        """End a response that is not whole, visibly.

        What is framed shows by its framing that it is not whole; what ends with its connection
        shows it by a reset alone.
        """
        framed = exchange.chunked or exchange.transfer.response_size is not None
        self.close() if exchange.started and framed else self.abort()

    def _linger(self) -> None:
        """Close so that the client gets the answer (RFC 9112, section 9.6).

        A socket that is closed with unread bytes in it sends a reset, which destroys what the
        client has not read: so our side is closed first, and the client's bytes are read on,
        within bounds, until it closes too.
        """
        self._lingering = self.limits.linger_size
        self.buffer = b""
        if self.lost:
            return
        if self.ended or self.encrypted:
            self.close()
            return
        self.end()
        self.resume_reading()
        self.read_deadline = self.loop.time() + self.limits.linger_time

    def _linger_on(self, size: int) -> None:
        self._lingering = (self._lingering or 0) - size
        if self._lingering < 0:
            self.close()

    # How long the client may take.

    def expect_bytes(self) -> None:
        """Give the client its time, as long as its body keeps up the least rate."""
        exchange = self._exchange
        if not self.limits.body_least_rate or exchange is None or exchange.body.finished:
            super().expect_bytes()
        else:
            if self._patience is None:
                self._patience = Patience(self.read_time, self.limits.body_least_rate)
            received = exchange.transfer.received
            self.read_deadline = self._patience.begin(self.loop.time(), received)

    def expect_no_bytes(self) -> None:
        """The client has sent some, or has not."""
        super().expect_no_bytes()
        if self._patience is not None:
            self._patience.end(self.loop.time())

    # What the client has.

    def acknowledge(self) -> None:
        """Settle the transfers whose last byte the client has."""
        if not self._unsettled:
            return
        reached = self.handed - self.unacknowledged()
        while self._unsettled and self._unsettled[0][0] <= reached:
            self._unsettled.pop(0)[1].delivered()
        if self._unsettled:
            self.worker.settle_soon(self)

    def _unacknowledged_by_now(self) -> int:
        """Whoever looks at a transfer whose response is handed over settles it if it can be.

        Not the publisher, whose thread is another.
        """
        if get_ident() == self.worker.thread:
            self.acknowledge()
        return self.unacknowledged()

    def _settle_unacknowledged(self) -> None:
        """The connection is gone: what the client has of a response, it has; the rest is cut."""
        self.acknowledge()
        while self._unsettled:
            self._unsettled.pop(0)[1].cut()

    @property
    def local(self) -> tuple[str, int]:
        """Our address; ("", -1) on a Unix socket."""
        return _address(self.transport.get_extra_info("sockname"))

    # The end of the worker.

    def wind_down(self, idle_too: bool) -> None:
        """Let the response in progress be the last; where there is none, the next, or none."""
        self._poll = None
        idle = self._exchange is None and self._lingering is None and not self.buffer
        if idle and idle_too and not self.unread:
            self.close()


def _address(address: object) -> tuple[str, int]:
    """Return host and port of a socket's address; ("", -1) where it has none."""
    return (address[0], address[1]) if isinstance(address, tuple) else ("", -1)
