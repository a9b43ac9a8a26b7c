"""One client: requests in, answers out, one at a time, in order."""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import Awaitable
from typing import Protocol

from mod_progress.gateway.actions.repeated_poll import RepeatedPoll, repeated_poll
from mod_progress.gateway.exchange import NOT_FOUND, Action, Exchange, Postponed, refusal_response
from mod_progress.gateway.http.heads import HEAD_END, Refusal
from mod_progress.gateway.http.request import check_incomplete, parse_request
from mod_progress.gateway.server.paced_client import PacedClient
from mod_progress.gateway.state import ServerState
from mod_progress.gateway.streams.body import TOO_LARGE, request_body
from mod_progress.gateway.streams.errors import Cut, Slow
from mod_progress.gateway.streams.stream import NEVER

logger = logging.getLogger("mod_progress.gateway")

#: RFC 9112, section 2.2: empty lines before a request are ignored.
_EMPTY_LINES = re.compile(rb"\A(?:\r\n)++")


#: Requests of one client that are served before other clients have their turn: pipelined ones may
#: come by the thousand. They take half a millisecond.
_TURN = 32


class Host(Protocol):
    """What a connection needs from the worker that accepted it."""

    state: ServerState
    #: What each request runs through.
    action: Action

    def opened(self, connection: Connection) -> None:
        """A client has connected."""

    def closed(self, connection: Connection) -> None:
        """The client is gone."""

    def ended(self, exchange: Exchange) -> None:
        """An exchange is over: its response is handed over, or cut."""

    @property
    def observed(self) -> bool:
        """Whether somebody wants to know of each exchange."""


class Connection(PacedClient):
    """One client's connection."""

    __slots__ = (
        "_head_begun",
        "_host",
        "_lingering",
        "_repeated",
        "_scanned",
        "_scheduled",
        "_task",
    )

    def __init__(self, host: Host, scheme: str = "http") -> None:
        super().__init__(host.state, scheme)
        self._host = host
        self.most_buffered = max(1, self.limits.pipelined_size)
        self._task: asyncio.Task[None] | None = None
        # Whether the loop goes on with what waits here in its next turn.
        self._scheduled = False
        # How much of the buffer is known to hold no end of a head.
        self._scanned = 0
        # Whether the time for a head runs: from its first byte on.
        self._head_begun = False
        # Once the last response is handed over: bytes that may still come before we close.
        self._lingering: int | None = None
        # What answers the last request, a poll, if it comes again.
        self._repeated: RepeatedPoll | None = None

    # What the transport calls.

    def carry(self, transport: asyncio.BaseTransport) -> None:
        """Wait for the handshake of TLS, as long as for a head."""
        super().carry(transport)
        self.read_deadline = self.loop.time() + self.limits.head_time
        self._host.opened(self)

    def carrier_lost(self) -> None:
        """The connection is gone before the handshake of TLS has ended."""
        self.state.streams.discard(self)
        self._host.closed(self)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Wait for the first request."""
        super().connection_made(transport)
        self.read_deadline = self.loop.time() + self.limits.idle_time
        if not self.encrypted:
            self._host.opened(self)

    def data_received(self, data: bytes) -> None:
        """Serve the requests that are complete, or keep the bytes for the one being served."""
        if self._repeated is not None:
            answer = None if self.blocked else self._repeated.answer(data)
            if answer is not None:
                self.write(answer)
                self.read_deadline = self.state.now + self.limits.idle_time
                return
            self._repeated = None
        if self._lingering is not None:
            self._linger_on(len(data))
        elif self._exchange is not None or self.blocked or self._scheduled:
            super().data_received(data)
        else:
            alone = not self.buffer.size and data.find(HEAD_END) + len(HEAD_END) == len(data)
            self.buffer.append(data)
            served = self._advance()
            if alone and served is not None and not self._host.observed:
                self._repeated = repeated_poll(served, data)

    def eof_received(self) -> bool:
        """Close where nothing is left to answer; else answer it first (RFC 9112, section 9.6)."""
        half_open = super().eof_received()
        self.acknowledge()
        if self._exchange is not None and self._exchange.quick is not None:
            self._exchange.quick.client_ended()
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
        if self.ended and self._exchange is None and not self.blocked and not self._scheduled:
            self.close()

    def reset(self) -> None:
        """Stop what is done for the client, who is gone."""
        self.abort()

    def connection_lost(self, error: Exception | None) -> None:
        """Stop what serves this client: nothing goes on for nobody."""
        super().connection_lost(error)
        if self._task is not None:
            # A task that is cancelled before its first step skips the cleanup in `_wait_for`.
            self.loop.call_soon(self._task.cancel)
        elif self._exchange is not None and self._exchange.quick is not None:
            self._exchange.quick.abandon()
            self.conclude(self._exchange)
        self._host.closed(self)

    def read_expired(self) -> None:
        """Answer, or close: the client was silent for too long."""
        if self.transport is None:
            self.abort()
        elif self._exchange is not None:
            super().read_expired()
        elif self._lingering is None and self._head_begun and not self.blocked:
            self._refuse(Refusal(408, "the request's head did not come in time"))
        else:
            self.close()

    # Requests in.

    def _advance(self) -> Exchange | None:
        """Serve what is in the buffer, one request after the other; return the last that ended."""
        exchange = None
        for _ in range(_TURN):
            busy = self._exchange is not None or self._lingering is not None or self.blocked
            if busy or self.lost or not self.buffer.size:
                return exchange
            try:
                head = self._take_head()
                if head is None:
                    return None
                request = parse_request(head, self.state.head_limits)
                body = request_body(self, request.body_size, self.limits.body_size)
                exchange = Exchange(self, self, request, body)
            except Refusal as refusal:
                self._refuse(refusal)
                return None
            self._serve(exchange)
        if self.buffer.size and not self._scheduled:
            self._scheduled = True
            self.loop.call_soon(self._go_on)
        return exchange

    def _go_on(self) -> None:
        self._scheduled = False
        if self._exchange is None:
            self._advance()
            if not self.buffer.size:
                self._close_if_ended()

    def _take_head(self) -> bytes | None:
        """Take one whole head off the buffer; raises `Refusal` as early as it cannot become one."""
        buffer = self.buffer
        if buffer.starts_with(b"\r"):
            waiting = _EMPTY_LINES.sub(b"", buffer.peek())
            buffer.clear()
            buffer.append(waiting)
        head = buffer.take_through(HEAD_END, self._scanned)
        if head is not None:
            self._scanned = 0
            self._head_begun = False
            self.read_deadline = NEVER
            return head
        check_incomplete(buffer.peek(), self._scanned, self.state.head_limits)
        self._scanned = max(0, buffer.size - len(HEAD_END) + 1)
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

    # Answers out.

    def _serve(self, exchange: Exchange) -> None:
        """Run the actions, then what answers: at once, or in a task where it has to wait."""
        self._exchange = exchange
        try:
            work = self._act(exchange)
        except Postponed as postponed:
            work = self._act_later(exchange, postponed)
        except Exception as error:
            self.fail(exchange, error)
            self._settle(exchange)
            return
        if work is not None:
            self.resume(exchange, work)
        elif exchange.finished:
            self._settle(exchange)

    def _act(self, exchange: Exchange) -> Awaitable[None] | None:
        self._host.action(exchange)
        # Only after the actions, so that the body's transfer tells of it.
        if 0 < self.limits.body_size < exchange.body.remaining:
            raise Refusal(413, TOO_LARGE)
        handler = exchange.handler or exchange.fallback or NOT_FOUND
        return handler.handle(exchange)

    async def _act_later(self, exchange: Exchange, postponed: Postponed) -> None:
        """Run the actions again, once the action that has postponed them need not wait any more."""
        await postponed.wait()
        self.check()
        exchange.begin_again()
        try:
            work = self._act(exchange)
        except Postponed as again:
            work = self._act_later(exchange, again)
        if work is not None:
            await work

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
        if exchange.quick is None:  # else its callback concludes the exchange
            self.conclude(exchange)

    def fail(self, exchange: Exchange, error: Exception) -> None:
        """Answer for an error where that is still possible; else the response stays cut."""
        if isinstance(error, Slow) and error.stream is self:
            error = Refusal(408, "the client was too slow")
        elif not isinstance(error, Refusal | Cut | OSError):
            logger.error("while serving %s", exchange.logged_target, exc_info=error)
            error = Refusal(500, "an error of the gateway's own")
        if isinstance(error, Refusal) and not exchange.started and not self.lost:
            exchange.refuse(error, error.lines)

    def _refuse(self, refusal: Refusal) -> None:
        """Answer what is no request, and close: nothing after it can be trusted."""
        self.buffer.clear()
        self.write(refusal_response(refusal, self.state.date))
        self._linger()

    def conclude(self, exchange: Exchange) -> None:
        """Settle an exchange that is over, and go on with what was pipelined."""
        self._settle(exchange)
        self._advance()

    def _settle(self, exchange: Exchange) -> None:
        """Settle the transfer; then wait for the next request, or close."""
        self._exchange = self._send_patience = None
        self._host.ended(exchange)
        if not exchange.finished:
            exchange.transfer.cut()
            self._cut(exchange)
            return
        if exchange.transfer.identifier:
            self.settle(exchange.transfer)
        if self.lost:
            return
        if exchange.keep_alive and not self.state.draining:
            self.read_deadline = self.state.now + self.limits.idle_time
            if self.buffer.size < self.most_buffered:
                self.resume_reading()
            if not self.buffer.size:
                self._close_if_ended()
        else:
            self._linger()

    def _cut(self, exchange: Exchange) -> None:
        """End a response that is not whole, visibly.

        What is framed shows by its framing that it is not whole. What ends with its connection
        shows it by a reset alone.
        """
        framed = exchange.chunked or exchange.transfer.response_size is not None
        self.close() if exchange.started and framed else self.abort()

    def _linger(self) -> None:
        """Close so that the client gets the answer (RFC 9112, section 9.6).

        A socket that is closed with unread bytes in it sends a reset, which destroys what the
        client has not read. So our side is closed first, and the client's bytes are read on,
        within bounds, until it closes too.
        """
        self._lingering = self.limits.linger_size
        self.buffer.clear()
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

    # The end of the worker, or of an idle connection.

    @property
    def idle(self) -> bool:
        """Whether nothing was asked that is not answered, as far as the loop knows."""
        return self._exchange is None and self._lingering is None and not self.buffer.size

    def give_up(self) -> None:
        """Close, unless the client has just asked for something."""
        if self.transport is None:
            self.abort()
        elif self.idle and not self.gone and not self.unread:
            self.close()

    def turn_away(self, refusal: Refusal | None) -> None:
        """Answer a client who may not have one more connection, or, with None, reset it.

        TLS is not even begun.
        """
        if refusal is None or self.transport is None:
            self.abort()
        else:
            self._refuse(refusal)

    def wind_down(self, idle_too: bool) -> None:
        """Let the response in progress be the last; where there is none, the next, or none."""
        self._repeated = None
        if idle_too:
            self.give_up()
