"""Answers what a question asks for: the show room's answer, sent through an exchange."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from concurrent.futures import Future
from functools import lru_cache, partial

from mod_progress.framing import BODILESS
from mod_progress.gateway.actions.push import Push
from mod_progress.gateway.exchange import Exchange
from mod_progress.show.answer import Answer
from mod_progress.show.answering import answer_inquiry
from mod_progress.show.formats import Fields
from mod_progress.show.question import Asking


@lru_cache
def field_lines(fields: Fields) -> bytes:
    """Return the lines of an answer's fields; they are the same for many answers."""
    return "".join(f"{name}: {value}\r\n" for name, value in fields).encode()


def send_answer(
    exchange: Exchange, answer: Answer, done: Callable[[], object] | None = None
) -> None:
    """Respond with an answer of the show room.

    A stream goes on after that. At its end ``done`` is called, or the exchange is concluded.
    """
    status, fields, body = answer
    if not isinstance(body, bytes):
        conclude = partial(exchange.owner.conclude, exchange)
        Push(exchange, body, done or conclude).begin(status, field_lines(fields))
    elif status in BODILESS:
        exchange.start(status, field_lines(fields), None)
        exchange.finish()
    else:
        exchange.respond(status, body, field_lines(fields))


def send_answer_when_ready(
    exchange: Exchange, answer: Answer | Future[Answer]
) -> Awaitable[None] | None:
    """Respond with an answer, at once; what is returned else waits for the answer."""
    if isinstance(answer, Future):
        return _send_later(exchange, answer)
    send_answer(exchange, answer)
    return None


async def _send_later(exchange: Exchange, answer: Future[Answer]) -> None:
    ended = asyncio.Event()
    send_answer(exchange, await asyncio.wrap_future(answer), ended.set)
    try:
        if not exchange.finished:
            await ended.wait()
    finally:
        if exchange.quick is not None:
            exchange.quick.abandon()


def let_read(exchange: Exchange, answer: Answer | Future[Answer]) -> Answer | Future[Answer]:
    """Return an answer with the fields that let pages of other origins read it, if they may."""
    if exchange.origins is None:
        return answer
    return exchange.origins.let_read(answer, exchange.request.named.get(b"origin"))


class Poll:
    """Answers one inquiry."""

    __slots__ = ("inquiry",)

    def __init__(self, inquiry: Asking) -> None:
        self.inquiry = inquiry

    def handle(self, exchange: Exchange) -> Awaitable[None] | None:
        """Answer, at once unless the answer has to be waited for."""
        answer = answer_inquiry(self.inquiry, exchange.tracker, exchange.client.state.ticker)
        if exchange.origins is not None:
            answer = let_read(exchange, answer)
        return send_answer_when_ready(exchange, answer)


class Refused:
    """Says why nothing is said of a transfer."""

    __slots__ = ("_answer",)

    def __init__(self, answer: Answer) -> None:
        self._answer = answer

    def handle(self, exchange: Exchange) -> Awaitable[None] | None:
        """Answer."""
        return send_answer_when_ready(exchange, let_read(exchange, self._answer))
