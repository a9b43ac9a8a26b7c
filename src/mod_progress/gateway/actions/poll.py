"""Answers how far a transfer is: the show room's answer, sent through an exchange."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from concurrent.futures import Future
from functools import lru_cache

from mod_progress.gateway.exchange import Exchange
from mod_progress.show.answer import Answer, answer_inquiry
from mod_progress.show.formats import Fields
from mod_progress.show.question import Inquiry


@lru_cache
def field_lines(fields: Fields) -> bytes:
    """Return the lines of an answer's fields; they are the same for many answers."""
    return "".join(f"{name}: {value}\r\n" for name, value in fields).encode()


def send_answer(exchange: Exchange, answer: Answer) -> None:
    """Respond with an answer of the show room."""
    exchange.respond(answer.status, answer.body, field_lines(answer.fields))


class Poll:
    """Answers one inquiry."""

    __slots__ = ("inquiry",)

    def __init__(self, inquiry: Inquiry) -> None:
        self.inquiry = inquiry

    def handle(self, exchange: Exchange) -> Awaitable[None] | None:
        """Answer, at once unless the store is far away."""
        answer = answer_inquiry(self.inquiry, exchange.tracker)
        if isinstance(answer, Future):
            return self._handle_later(exchange, answer)
        send_answer(exchange, answer)
        return None

    async def _handle_later(self, exchange: Exchange, answer: Future[Answer]) -> None:
        send_answer(exchange, await asyncio.wrap_future(answer))
