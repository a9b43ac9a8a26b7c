"""The shortcut of a small exchange: without a task, twice the rate.

The whole request is here, a kept connection to the backend is idle, and the answer comes in one
piece. Whatever turns out otherwise goes on in a task, from where it is.
"""

from __future__ import annotations

from mod_progress.framing import BODILESS
from mod_progress.gateway.backends.faults import Stale
from mod_progress.gateway.backends.http_connection import HttpConnection
from mod_progress.gateway.backends.http_exchange import (
    leave,
    pass_on,
    receive_answer,
    send_request,
    start_answer,
)
from mod_progress.gateway.exchange import Exchange
from mod_progress.gateway.http.heads import HEAD_END, Refusal
from mod_progress.gateway.http.response import ResponseHead, parse_response


def is_whole(exchange: Exchange) -> bool:
    """Whether the whole request has come, and nothing but a plain answer is asked for."""
    request, body = exchange.request, exchange.body
    waiting = exchange.client.buffer.size
    return not request.chunked and body.remaining <= waiting and not request.upgrade


class Shortcut:
    """An exchange whose answer is handed on in the callback that brings it."""

    __slots__ = ("_exchange", "_upstream")

    def __init__(self, exchange: Exchange, upstream: HttpConnection) -> None:
        """Send the request, which `is_whole`; raises `Cut`."""
        self._exchange = exchange
        self._upstream = upstream
        send_request(exchange, upstream)
        exchange.quick = self
        upstream.hand_to(self)

    def received(self, data: bytes) -> None:
        """Answer with what came, if that is the whole response."""
        exchange, upstream = self._exchange, self._upstream
        end = data.find(HEAD_END) + len(HEAD_END)
        response = None
        if end >= len(HEAD_END):
            try:  # noqa: SIM105, `suppress` is three calls more
                response = parse_response(data[:end], upstream.state.head_limits)
            except Refusal:
                pass  # the task meets it again, and answers for it
        if response is None or len(data) != end + _body_size(exchange, response):
            upstream.buffer.append(data)
            self.ended()
            return
        self._detach()
        start_answer(exchange, response, data[end:])
        exchange.finish()
        leave(exchange, upstream, response)
        exchange.owner.conclude(exchange)

    def ended(self) -> None:
        """Let a task wait for the rest, or learn what became of the backend."""
        self._detach()
        self._exchange.owner.resume(self._exchange, self._rest())

    def expired(self) -> None:
        """Answer that the backend was too slow."""
        exchange = self._exchange
        self.abandon()
        exchange.owner.fail(exchange, Refusal(504, f"{self._upstream} was too slow"))
        exchange.owner.conclude(exchange)

    def abandon(self) -> None:
        """Let go of the backend: nobody waits for its answer."""
        self._detach()
        self._upstream.abort()

    def client_ended(self) -> None:
        """Go on: the client may still read."""

    def _detach(self) -> None:
        self._exchange.quick = None
        self._upstream.take_back()

    async def _rest(self) -> None:
        exchange, upstream = self._exchange, self._upstream
        try:
            await receive_answer(exchange, upstream, None)
        except Stale:
            await pass_on(exchange, await upstream.pool.connect(upstream.state, fresh=True))


def _body_size(exchange: Exchange, response: ResponseHead) -> int:
    """Return how much follows a head that tells the size of its body; -1 where it does not."""
    if exchange.request.method == "HEAD" or response.status in BODILESS:
        return 0
    if response.status < 200 or response.chunked or response.content_length is None:
        return -1
    return response.content_length
