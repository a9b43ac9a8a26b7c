"""One exchange over a connection to an HTTP backend: both directions stream."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial

from mod_progress.framing import BODILESS
from mod_progress.gateway.backends.faults import cause_of
from mod_progress.gateway.backends.forwarding import (
    VIA,
    end_to_end_lines,
    forward_interim,
    forwarded_head,
    next_protocol,
)
from mod_progress.gateway.backends.http_connection import HttpConnection
from mod_progress.gateway.backends.named_file import names_file, send_named_file
from mod_progress.gateway.backends.sending import send_rest
from mod_progress.gateway.backends.tunnel import tunnel
from mod_progress.gateway.exchange import Exchange
from mod_progress.gateway.http.chunked import LAST_CHUNK, encode_chunk
from mod_progress.gateway.http.edits import edit_lines
from mod_progress.gateway.http.heads import Refusal, response_head
from mod_progress.gateway.http.response import ResponseHead
from mod_progress.gateway.streams.body import Body, ChunkedBody, UntilCloseBody
from mod_progress.gateway.streams.errors import Cut
from mod_progress.gateway.streams.relay import relay


async def pass_on(exchange: Exchange, upstream: HttpConnection, whole: Body | None = None) -> None:
    """Send the request, and relay the answer."""
    try:
        sending = send_request(exchange, upstream, whole)
    except (Cut, Refusal) as error:
        upstream.abort()
        raise cause_of(error, exchange, upstream, None) from None
    await receive_answer(exchange, upstream, sending)


async def receive_answer(
    exchange: Exchange, upstream: HttpConnection, sending: asyncio.Task[None] | None
) -> None:
    """Relay the answer; the backend may give it before it has the whole request."""
    let_go: Callable[[], None] = upstream.abort
    try:
        response = await _final_response(exchange, upstream)
        if response.status == 101:
            await _switch(exchange, upstream, response)
            let_go = upstream.close
            return
        if names_file(exchange, response):
            await send_named_file(exchange, response)
            return
        await _answer(exchange, response, _response_body(exchange, upstream, response))
        if exchange.body.finished and (sending is None or sending.done()):
            let_go = partial(leave, exchange, upstream, response)
    except (Cut, Refusal) as error:
        raise cause_of(error, exchange, upstream, sending) from None
    finally:
        if sending is not None:
            sending.cancel()
        let_go()


def leave(exchange: Exchange, upstream: HttpConnection, response: ResponseHead) -> None:
    """Keep the connection after a whole exchange, if its next bytes are the next response.

    An answer to HEAD, a 204 or a 304 may announce a body that it must not have. Some backends send
    that body all the same, later, and it would look like the next response.
    """
    sized = response.chunked or response.content_length is not None
    announced = response.chunked or bool(response.content_length)
    if response.keep_alive and (not announced if exchange.bodiless else sized):
        upstream.release(exchange.bodiless)
    else:
        upstream.close()


# The request.


def send_request(
    exchange: Exchange, upstream: HttpConnection, whole: Body | None = None
) -> asyncio.Task[None] | None:
    """Send the head and what has come of the body; a task sends the rest, if there is more."""
    body = exchange.body if whole is None else whole
    chunked = exchange.request.chunked and whole is None
    size = None if whole is None else whole.remaining
    head = forwarded_head(exchange.request, exchange.client, size)
    first = body.take()
    if chunked:
        first = (encode_chunk(first) if first else b"") + (LAST_CHUNK if body.finished else b"")
    upstream.send_request(head + first)
    if body.finished:
        upstream.expect_answer()
        return None
    if chunked:
        return send_rest(body, upstream, encode_chunk, LAST_CHUNK)
    return send_rest(body, upstream)


# The response.


async def _final_response(exchange: Exchange, upstream: HttpConnection) -> ResponseHead:
    """Relay the interim responses (RFC 9110, section 15.2), and return the final one."""
    while True:
        response = await upstream.response()
        if response.status >= 200 or response.status == 101:
            return response
        await forward_interim(exchange, response)


def _response_body(exchange: Exchange, upstream: HttpConnection, response: ResponseHead) -> Body:
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
    start_answer(exchange, response, first)
    if not body.finished:
        await relay(body, exchange.client, frame=exchange.frame, sent=exchange.sent)
    exchange.finish()


def start_answer(exchange: Exchange, response: ResponseHead, first: bytes) -> None:
    """Send the head on, and with it what is here of the body."""
    if response.forwarded is None:
        response.forwarded = b"".join([*end_to_end_lines(response), VIA[response.minor]])
    dated = b"date" in response.named and b"date" not in response.connection
    exchange.start(response.status, response.forwarded, response.content_length, first, dated=dated)


async def _switch(exchange: Exchange, upstream: HttpConnection, response: ResponseHead) -> None:
    """Switch protocols (RFC 9110, section 7.8): from here on, bytes go both ways."""
    client = exchange.client
    protocol = next_protocol(exchange.request, client.state.tunnelled)
    if protocol is None or response.named.get(b"upgrade", b"").lower() != protocol:
        raise Refusal(502, "the upstream switched to a protocol that nobody asked for")
    switch = b"Connection: upgrade\r\nUpgrade: %b\r\n" % protocol
    lines = b"".join(end_to_end_lines(response))
    if exchange.edits:
        lines = edit_lines(lines, exchange.edits)
    exchange.switch(response_head(101, [lines, switch]))
    await tunnel(client, upstream, client.state.limits.tunnel_idle_time)
    exchange.finish()
