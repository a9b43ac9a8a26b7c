"""One exchange through a backend: the request there, the answer back, both streaming."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from functools import partial

from mod_progress.gateway.backends.forwarding import VIA, end_to_end, next_protocol, onward_head
from mod_progress.gateway.backends.pool import Upstream, UpstreamConnection
from mod_progress.gateway.backends.spool import spooled
from mod_progress.gateway.exchange import BODILESS, Exchange
from mod_progress.gateway.http.chunked import LAST_CHUNK, encode_chunk
from mod_progress.gateway.http.heads import HEAD_END, Refusal, response_head
from mod_progress.gateway.http.request import RequestHead
from mod_progress.gateway.http.response import ResponseHead, parse_response
from mod_progress.gateway.streams.body import Body, ChunkedBody, UntilCloseBody
from mod_progress.gateway.streams.relay import relay
from mod_progress.gateway.streams.stream import NEVER, Cut, Slow, Stream

#: Methods that may be sent twice (RFC 9110, section 9.2.2).
_IDEMPOTENT = frozenset({"GET", "HEAD", "PUT", "DELETE", "OPTIONS", "TRACE"})


class _Stale(Exception):
    """A kept connection had been closed before the request reached the backend."""


def proxy(exchange: Exchange, backend: Upstream) -> Awaitable[None] | None:
    """Serve an exchange by the backend; `Refusal` (502, 504) while nothing is answered.

    Returns None where no task is needed: the exchange is concluded when the answer has come.
    """
    if backend.idle and _is_here(exchange) and (upstream := backend.take_idle()) is not None:
        _Quick(exchange, upstream)
        return None
    if exchange.buffer_request_body and not exchange.body.finished:
        return _hold_back(exchange, backend)
    return _ask(exchange, backend)


async def _hold_back(exchange: Exchange, backend: Upstream) -> None:
    async with spooled(exchange) as whole:
        await _ask(exchange, backend, whole)


async def _ask(exchange: Exchange, backend: Upstream, whole: Body | None = None) -> None:
    """Ask the backend; ``whole`` is the request's body where it was held back until it was so."""
    worker = exchange.connection.worker
    try:
        await _pass(exchange, await backend.connect(worker), whole)
    except _Stale:
        await _pass(exchange, await backend.connect(worker, fresh=True), whole)


def _is_here(exchange: Exchange) -> bool:
    """Whether the whole request has come, and nothing but a plain answer is asked for."""
    request, body = exchange.request, exchange.body
    waiting = len(exchange.connection.buffer)
    return not request.chunked and body.remaining <= waiting and not request.upgrade


class _Quick:
    """An exchange without a task: the request is here, and the answer comes in one piece.

    What turns out otherwise goes the long way, from where it is.
    """

    __slots__ = ("_exchange", "_upstream")

    def __init__(self, exchange: Exchange, upstream: UpstreamConnection) -> None:
        self._exchange = exchange
        self._upstream = upstream
        _send(exchange, upstream)
        upstream.quick = exchange.quick = self
        upstream.read_deadline = upstream.worker.now + upstream.read_time

    def received(self, data: bytes) -> None:
        """Answer with what came, if that is the whole response."""
        exchange, upstream = self._exchange, self._upstream
        end = data.find(HEAD_END) + len(HEAD_END)
        response = None
        if end >= len(HEAD_END):
            with suppress(Refusal):  # the long way tells of it
                response = parse_response(data[:end], upstream.worker.head_limits)
        if response is None or len(data) != end + _size(exchange, response):
            upstream.buffer = data
            self.go_the_long_way()
            return
        self._detach()
        _start(exchange, response, data[end:])
        exchange.finish()
        _leave(exchange, upstream, response)
        exchange.connection.conclude(exchange)

    def go_the_long_way(self) -> None:
        """Let a task wait for the rest, or learn what became of the backend."""
        self._detach()
        self._exchange.connection.resume(self._exchange, self._rest())

    def expired(self) -> None:
        """Answer that the backend was too slow."""
        self._detach()
        self._upstream.abort()
        connection = self._exchange.connection
        connection.fail(self._exchange, Refusal(504, f"{self._upstream} was too slow"))
        connection.conclude(self._exchange)

    def abandon(self) -> None:
        """Let go of the backend: the client is gone."""
        self._detach()
        self._upstream.abort()

    def _detach(self) -> None:
        self._exchange.quick = self._upstream.quick = None
        self._upstream.read_deadline = NEVER

    async def _rest(self) -> None:
        exchange, upstream = self._exchange, self._upstream
        try:
            await _receive(exchange, upstream, None)
        except _Stale:
            await _pass(exchange, await upstream.upstream.connect(upstream.worker, fresh=True))


def _size(exchange: Exchange, response: ResponseHead) -> int:
    """Return how much follows a head that tells the size of its body; -1 where it does not."""
    if exchange.request.method == "HEAD" or response.status in BODILESS:
        return 0
    if response.status < 200 or response.chunked or response.content_length is None:
        return -1
    return response.content_length


async def _pass(
    exchange: Exchange, upstream: UpstreamConnection, whole: Body | None = None
) -> None:
    """Send the request, and relay the answer."""
    try:
        sending = _send(exchange, upstream, whole)
    except (Cut, Refusal) as error:
        upstream.abort()
        raise _cause(exchange, upstream, None, error) from None
    await _receive(exchange, upstream, sending)


async def _receive(
    exchange: Exchange, upstream: UpstreamConnection, sending: asyncio.Task[None] | None
) -> None:
    """Relay the answer; the backend may give it before it has the whole request."""
    leave: Callable[[], None] = upstream.abort
    try:
        response = await _final_response(exchange, upstream)
        if response.status == 101:
            await _tunnel(exchange, upstream, response)
            leave = upstream.close
            return
        await _answer(exchange, response, _response_body(exchange, upstream, response))
        if exchange.body.finished and (sending is None or sending.done()):
            leave = partial(_leave, exchange, upstream, response)
    except (Cut, Refusal) as error:
        raise _cause(exchange, upstream, sending, error) from None
    finally:
        if sending is not None:
            sending.cancel()
        leave()


def _leave(exchange: Exchange, upstream: UpstreamConnection, response: ResponseHead) -> None:
    """Keep the connection after a whole exchange, if its next bytes are the next response.

    Where an answer announces a body that it may not have (to HEAD, a 204, a 304), a backend may
    send it all the same, and later than we can know of.
    """
    sized = response.chunked or response.content_length is not None
    announced = response.chunked or bool(response.content_length)
    if response.keep_alive and (not announced if exchange.bodiless else sized):
        upstream.release(exchange.bodiless)
    else:
        upstream.close()


def _cause(
    exchange: Exchange,
    upstream: UpstreamConnection,
    sending: asyncio.Task[None] | None,
    error: Exception,
) -> Exception:
    """Find what really went wrong: a request that broke off shows as a backend that does not."""
    if sending is not None and sending.done() and (cause := sending.exception()):
        assert isinstance(cause, Exception)
        error = cause
    if not isinstance(error, Cut) or error.stream is not upstream or exchange.started:
        return error
    if isinstance(error, Slow):
        return Refusal(504, f"{upstream} was too slow")
    # Nobody can tell whether the backend acted on what it got: only what may be done twice, and
    # of which nothing was lost, is asked again (RFC 9112, section 9.3.1).
    if upstream.reused and not upstream.answered and _repeatable(exchange.request):
        return _Stale()
    return Refusal(502, f"{upstream}: {error}")


def _repeatable(request: RequestHead) -> bool:
    return request.method in _IDEMPOTENT and request.body_size == 0


# The request.


def _send(
    exchange: Exchange, upstream: UpstreamConnection, whole: Body | None = None
) -> asyncio.Task[None] | None:
    """Send the head with what is here of the body; a task sends the rest, if there is more."""
    body = exchange.body if whole is None else whole
    chunked = exchange.request.chunked and whole is None
    size = None if whole is None else whole.remaining
    head = onward_head(exchange.request, exchange.connection, size)
    first = body.take()
    if chunked:
        first = (encode_chunk(first) if first else b"") + (LAST_CHUNK if body.finished else b"")
    upstream.write(head + first)
    upstream.answered = False
    if body.finished:
        upstream.read_time = upstream.limits.upstream_read_time
        return None
    upstream.read_time = NEVER
    sending = upstream.loop.create_task(_send_rest(body, upstream, chunked))
    # Its error may come too late for anybody to ask for it.
    sending.add_done_callback(lambda task: task.cancelled() or task.exception())
    return sending


async def _send_rest(body: Body, upstream: UpstreamConnection, chunked: bool) -> None:
    """Relay the rest of the request's body; where the client fails, the backend hears of it."""
    try:
        await relay(body, upstream, chunked=chunked)
        if chunked:
            upstream.write(LAST_CHUNK)
        upstream.expect_answer()
    except Cut as cut:
        if cut.stream is upstream and not isinstance(cut, Slow):
            return  # it may have answered before it went: who waits for the answer will know
        upstream.abort()
        raise
    except Refusal:
        upstream.abort()
        raise


# The response.


async def _final_response(exchange: Exchange, upstream: UpstreamConnection) -> ResponseHead:
    """Relay the interim responses (RFC 9110, section 15.2), and return the final one."""
    client = exchange.connection
    while True:
        response = await upstream.response()
        if response.status >= 200 or response.status == 101:
            return response
        if exchange.request.minor:
            client.write(response_head(response.status, _end_to_end_lines(response)))
            await client.drain()


def _end_to_end_lines(response: ResponseHead) -> list[bytes]:
    """Return the fields that go on to the client, but for the length, which we write."""
    return [
        line
        for name, line in end_to_end(response.fields, response.connection)
        if name != b"content-length"
    ]


def _response_body(
    exchange: Exchange, upstream: UpstreamConnection, response: ResponseHead
) -> Body:
    """Frame the response's body (RFC 9112, section 6.3)."""
    if exchange.request.method == "HEAD" or response.status in BODILESS:
        return Body(upstream, 0)
    if response.chunked:
        return ChunkedBody(upstream)
    if response.content_length is not None:
        return Body(upstream, response.content_length)
    return UntilCloseBody(upstream)


async def _answer(exchange: Exchange, response: ResponseHead, body: Body) -> None:
    try:
        first = body.take()
    except Refusal as refusal:
        raise Refusal(502, f"the upstream's answer: {refusal.reason}") from None
    _start(exchange, response, first)
    if not body.finished:
        await relay(body, exchange.connection, chunked=exchange.chunked, sent=exchange.sent)
    exchange.finish()


def _start(exchange: Exchange, response: ResponseHead, first: bytes) -> None:
    """Send the head on, and with it what is here of the body."""
    if response.onward is None:
        response.onward = b"".join([*_end_to_end_lines(response), VIA[response.minor]])
    dated = b"date" in response.named and b"date" not in response.connection
    exchange.start(response.status, response.onward, response.content_length, first, dated=dated)


async def _tunnel(exchange: Exchange, upstream: UpstreamConnection, response: ResponseHead) -> None:
    """Switch protocols: from here on, bytes both ways until both sides have ended."""
    client = exchange.connection
    protocol = next_protocol(exchange.request, client.worker.site.tunnelled)
    if protocol is None or response.named.get(b"upgrade", b"").lower() != protocol:
        raise Refusal(502, "the upstream switched to a protocol that nobody asked for")
    switch = b"Connection: upgrade\r\nUpgrade: %b\r\n" % protocol
    exchange.switch(response_head(101, [*_end_to_end_lines(response), switch]))
    for stream in (client, upstream):
        stream.read_time = NEVER  # one side may be silent for hours
    try:
        async with asyncio.TaskGroup() as directions:
            directions.create_task(_one_way(client, upstream))
            directions.create_task(_one_way(upstream, client))
    except ExceptionGroup as ends:
        raise ends.exceptions[0] from None
    exchange.finish()


async def _one_way(source: Stream, sink: Stream) -> None:
    await relay(UntilCloseBody(source), sink)
    await sink.flush()
    sink.end()
