"""One exchange through a backend: the request there, the answer back, both streaming."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from contextlib import suppress

from mod_progress.gateway.body import Body, ChunkedBody, UntilCloseBody
from mod_progress.gateway.chunked import LAST_CHUNK, encode_chunk
from mod_progress.gateway.exchange import BODILESS, Exchange
from mod_progress.gateway.message import (
    HEAD_END,
    Refusal,
    RequestHead,
    ResponseHead,
    end_to_end,
    parse_response,
    request_head,
    response_head,
)
from mod_progress.gateway.relay import relay
from mod_progress.gateway.spool import spooled
from mod_progress.gateway.stream import NEVER, Cut, Slow, Stream
from mod_progress.gateway.upstream import Upstream, UpstreamConnection

#: Methods that may be sent twice (RFC 9110, section 9.2.2).
_IDEMPOTENT = frozenset({"GET", "HEAD", "PUT", "DELETE", "OPTIONS", "TRACE"})

#: Protocols that a connection may switch to.
_TUNNELLED = frozenset({b"websocket"})

_VIA = b"Via: 1.1 mod_progress\r\n"

#: Fields of the request that the gateway always writes itself.
_REWRITTEN = frozenset({b"host", b"content-length", b"expect"})


class _Stale(Exception):
    """A kept connection had been closed before the request reached the backend."""


def proxy(exchange: Exchange, backend: Upstream) -> Awaitable[None] | None:
    """Serve an exchange by the backend; `Refusal` (502, 504) while nothing is answered.

    Returns None where no task is needed: the exchange is concluded when the answer has come.
    """
    if backend.idle and _is_here(exchange):
        _Quick(exchange, backend.take_idle())
        return None
    return _serve(exchange, backend)


async def _serve(exchange: Exchange, backend: Upstream) -> None:
    if exchange.buffer_request_body and not exchange.body.finished:
        async with spooled(exchange) as body:
            await _ask(exchange, backend, body)
    else:
        await _ask(exchange, backend)


async def _ask(exchange: Exchange, backend: Upstream, whole: Body | None = None) -> None:
    """Ask the backend; ``whole`` is the request's body where it was held back until it was so."""
    worker = exchange.connection.worker
    upstream = await backend.connect(worker)
    try:
        await _receive(exchange, upstream, _send(exchange, upstream, whole))
    except _Stale:
        upstream = await backend.connect(worker, fresh=True)
        await _receive(exchange, upstream, _send(exchange, upstream, whole))


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
        upstream.release() if response.keep_alive else upstream.close()
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
            backend = upstream.upstream
            again = await backend.connect(upstream.worker, fresh=True)
            await _receive(exchange, again, _send(exchange, again))


def _size(exchange: Exchange, response: ResponseHead) -> int:
    """Return how much follows a head that tells the size of its body; -1 where it does not."""
    if exchange.request.method == "HEAD" or response.status in BODILESS:
        return 0
    if response.status < 200 or response.chunked or response.content_length is None:
        return -1
    return response.content_length


async def _receive(
    exchange: Exchange, upstream: UpstreamConnection, sending: asyncio.Task[None] | None
) -> None:
    """Relay the answer; the backend may give it before it has the whole request."""
    reusable = False
    try:
        response = await _final_response(exchange, upstream)
        if response.status == 101:
            await _tunnel(exchange, upstream, response)
            return
        body = _response_body(exchange, upstream, response)
        await _answer(exchange, response, body)
        sent = exchange.body.finished and (sending is None or sending.done())
        reusable = sent and response.keep_alive and not isinstance(body, UntilCloseBody)
    except (Cut, Refusal) as error:
        raise _cause(exchange, upstream, sending, error) from None
    finally:
        if sending is not None:
            sending.cancel()
        upstream.release() if reusable else upstream.abort()


def _cause(
    exchange: Exchange,
    upstream: UpstreamConnection,
    sending: asyncio.Task[None] | None,
    error: Cut | Refusal,
) -> Exception:
    """Find what really went wrong: a request that broke off shows as a backend that does not."""
    if sending is not None and sending.done() and (cause := sending.exception()):
        assert isinstance(cause, Exception)
        return cause
    if isinstance(error, Refusal) or error.stream is not upstream or exchange.started:
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
    head = _onward_head(exchange, whole)
    first = body.take()
    if chunked:
        first = (encode_chunk(first) if first else b"") + (LAST_CHUNK if body.finished else b"")
    upstream.write(head + first)
    upstream.answered = False
    if body.finished:
        upstream.read_time = upstream.limits.upstream_read_time
        return None
    upstream.read_time = NEVER
    return upstream.loop.create_task(_send_rest(body, upstream, chunked))


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


def _onward_head(exchange: Exchange, whole: Body | None) -> bytes:
    request = exchange.request
    if whole is not None:
        framing = b"Content-Length: %d\r\n" % whole.remaining
    elif request.chunked:
        framing = b"Transfer-Encoding: chunked\r\n"
    elif request.content_length is not None:
        framing = b"Content-Length: %d\r\n" % request.content_length
    else:
        framing = b""
    if request.expects_continue and whole is None:
        framing += b"Expect: 100-continue\r\n"
    framing += _upgrade_lines(request)
    host = b"Host: %b\r\n" % request.host
    lines = (host, _onward_fields(exchange), framing, _VIA)
    return request_head(request.method, request.target, lines)


def _onward_fields(exchange: Exchange) -> bytes:
    """Return the client's own fields, and those that tell the backend of the client.

    Only a trusted front proxy is believed in what it says of its client; anybody else's word is
    replaced.
    """
    request, connection = exchange.request, exchange.connection
    if connection.trusted:
        fields = b"".join(
            line
            for name, line in end_to_end(request.fields, request.connection)
            if name not in _REWRITTEN and name != b"x-forwarded-for"
        )
        return fields + _trusted_lines(exchange)
    if request.onward is None:
        request.onward = b"".join(
            line
            for name, line in end_to_end(request.fields, request.connection)
            if name not in _REWRITTEN and not _tells_of_client(name)
        )
    return request.onward + connection.forwarded_lines % ((request.host,) * 2)


def _tells_of_client(name: bytes) -> bool:
    return name.startswith(b"x-forwarded-") or name in (b"forwarded", b"x-real-ip")


def _trusted_lines(exchange: Exchange) -> bytes:
    """Add our hop to what a trusted front proxy told."""
    request, connection = exchange.request, exchange.connection
    chain = [value for name, value in request.fields if name.lower() == b"x-forwarded-for"]
    lines = b"X-Forwarded-For: %b\r\n" % b", ".join([*chain, connection.peer[0].encode()])
    for name, value in (
        (b"X-Forwarded-Proto", connection.scheme.encode()),
        (b"X-Forwarded-Host", request.host),
    ):
        if name.lower() not in request.named:
            lines += b"%b: %b\r\n" % (name, value)
    return lines


# The response.


async def _final_response(exchange: Exchange, upstream: UpstreamConnection) -> ResponseHead:
    """Relay the interim responses (RFC 9110, section 15.2), and return the final one."""
    request, client = exchange.request, exchange.connection
    while True:
        response = await upstream.response()
        if response.status >= 200 or _switches(request, response):
            return response
        if response.status == 101:
            raise Refusal(502, "the upstream switched to a protocol that nobody asked for")
        if request.minor:
            lines = (line for _, line in end_to_end(response.fields, response.connection))
            client.write(response_head(response.status, lines))


def _switches(request: RequestHead, response: ResponseHead) -> bool:
    return response.status == 101 and bool(_upgrade_lines(request))


def _upgrade_lines(request: RequestHead) -> bytes:
    """Return what asks for, or agrees to, the first offered protocol that is tunnelled."""
    for protocol in request.upgrade:
        if protocol in _TUNNELLED:
            return b"Connection: upgrade\r\nUpgrade: %b\r\n" % protocol
    return b""


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
    _start(exchange, response, body.take())
    if not body.finished:
        client = exchange.connection
        await relay(body, client, chunked=exchange.chunked, sent=exchange.sent)
    exchange.finish()


def _start(exchange: Exchange, response: ResponseHead, first: bytes) -> None:
    """Send the head on, and with it what is here of the body."""
    if response.onward is None:
        fields = end_to_end(response.fields, response.connection)
        lines = [line for name, line in fields if name != b"content-length"]
        response.onward = b"".join(lines) + _VIA
    dated = b"date" in response.named
    exchange.start(response.status, response.onward, response.content_length, first, dated=dated)


async def _tunnel(exchange: Exchange, upstream: UpstreamConnection, response: ResponseHead) -> None:
    """Switch protocols: from here on, bytes both ways until both sides have ended."""
    client = exchange.connection
    lines = [line for _, line in end_to_end(response.fields, response.connection)]
    lines.append(_upgrade_lines(exchange.request))
    exchange.switch(response_head(101, lines))
    for stream in (client, upstream):
        stream.read_time = NEVER  # one side may be silent for hours
    try:
        async with asyncio.TaskGroup() as directions:
            directions.create_task(_one_way(client, upstream))
            directions.create_task(_one_way(upstream, client))
    except* Cut:
        client.abort()
    else:
        exchange.finish()


async def _one_way(source: Stream, sink: Stream) -> None:
    await relay(UntilCloseBody(source), sink)
    await sink.flush()
    sink.end()
