"""One exchange over a connection to a CGI backend: both directions stream."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from functools import partial

from mod_progress.framing import BODILESS
from mod_progress.gateway.backends.cgi_output import Output, StreamOutput
from mod_progress.gateway.backends.cgi_variables import Variable, cgi_variables
from mod_progress.gateway.backends.faults import cause_of
from mod_progress.gateway.backends.forwarding import end_to_end_lines, forward_interim
from mod_progress.gateway.backends.named_file import names_file, send_named_file
from mod_progress.gateway.backends.pool import UpstreamConnection
from mod_progress.gateway.backends.sending import send_rest
from mod_progress.gateway.exchange import Exchange
from mod_progress.gateway.http.heads import Refusal
from mod_progress.gateway.http.response import ResponseHead
from mod_progress.gateway.streams.body import Body
from mod_progress.gateway.streams.errors import Cut
from mod_progress.gateway.streams.relay import Frame, relay


class CgiConnection(UpstreamConnection):
    """A connection to a backend that gets CGI variables; a subclass speaks its protocol."""

    __slots__ = ()

    #: Whether the backend is one program for all paths.
    at_root = False
    #: Whether it is told the length of a body that is not there, too.
    always_sized = False
    #: What each piece of a request's body is framed by, and what follows the last one.
    frame: Frame | None = None
    end_of_body = b""

    def head(self, variables: Iterable[Variable]) -> bytes:
        """Serialise what comes before the request's body; raises `Refusal`."""
        raise NotImplementedError

    def output(self) -> Output:
        """Return what the backend will write, for one request."""
        return StreamOutput(self)

    def leave(self, output: Output) -> None:
        """Let the connection go after a whole exchange."""
        self.close()


async def pass_on(exchange: Exchange, upstream: CgiConnection, body: Body) -> None:
    """Send the request, and relay the answer."""
    try:
        sending = _send_request(exchange, upstream, body)
    except (Cut, Refusal) as error:
        upstream.abort()
        raise cause_of(error, exchange, upstream, None) from None
    await _receive_answer(exchange, upstream, sending)


# The request.


def _send_request(
    exchange: Exchange, upstream: CgiConnection, body: Body
) -> asyncio.Task[None] | None:
    """Send the head and what has come of the body; a task sends the rest, if there is more."""
    request = exchange.request
    has_body = request.chunked or request.content_length is not None or upstream.always_sized
    size = body.remaining if has_body else None
    head = upstream.head(cgi_variables(exchange, size, at_root=upstream.at_root))
    exchange.invite()
    first = body.take()
    if first and upstream.frame is not None:
        first = upstream.frame(first)
    if body.finished:
        upstream.send_request(b"".join((head, first, upstream.end_of_body)))
        upstream.expect_answer()
        return None
    upstream.send_request(head + first)
    return send_rest(body, upstream, upstream.frame, upstream.end_of_body)


# The response.


async def _receive_answer(
    exchange: Exchange, upstream: CgiConnection, sending: asyncio.Task[None] | None
) -> None:
    """Relay the answer; the backend may give it before it has the whole request."""
    let_go: Callable[[], None] = upstream.give_up
    output = upstream.output()
    try:
        response = await _final_response(exchange, output)
        if names_file(exchange, response):
            await send_named_file(exchange, response)
        else:
            await _answer(exchange, response, output)
        if exchange.body.finished and (sending is None or sending.done()):
            let_go = partial(upstream.leave, output)
    except (Cut, Refusal) as error:
        raise cause_of(error, exchange, upstream, sending) from None
    finally:
        if sending is not None:
            sending.cancel()
        let_go()


async def _final_response(exchange: Exchange, output: Output) -> ResponseHead:
    """Relay the interim responses, and return the final one."""
    while True:
        response = await output.head(exchange.client.state.head_limits)
        if response.status == 101:
            raise Refusal(502, "the upstream switched to a protocol that nobody asked for")
        if response.status >= 200:
            return response
        await forward_interim(exchange, response)


async def _answer(exchange: Exchange, response: ResponseHead, output: Output) -> None:
    body = _response_body(exchange, response, output)
    first = body.take()
    lines = b"".join(end_to_end_lines(response))
    dated = b"date" in response.named and b"date" not in response.connection
    exchange.start(response.status, lines, response.content_length, first, dated=dated)
    if not body.finished:
        await relay(body, exchange.client, frame=exchange.frame, sent=exchange.sent)
    exchange.finish()


def _response_body(exchange: Exchange, response: ResponseHead, output: Output) -> Body:
    if exchange.request.method == "HEAD" or response.status in BODILESS:
        return output.sized(0)
    if response.content_length is not None:
        return output.sized(response.content_length)
    return output
