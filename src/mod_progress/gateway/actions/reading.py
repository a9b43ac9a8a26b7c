"""What the actions have in common that answer a GET or HEAD with an answer of the show room."""

from __future__ import annotations

from collections.abc import Awaitable
from concurrent.futures import Future

from mod_progress.gateway.actions.poll import send_answer_when_ready
from mod_progress.gateway.exchange import Answering, Exchange, MethodNotAllowed
from mod_progress.show.answer import Answer
from mod_progress.show.question import ASKING, Question


class Reading(Answering):
    """Answers any request that nothing has answered before it; one of another method is refused."""

    __slots__ = ()

    def handle(self, exchange: Exchange) -> Awaitable[None] | None:
        """Answer, at once or when the answer is there."""
        request = exchange.request
        methods = self.methods(exchange)
        if request.method not in methods:
            MethodNotAllowed(methods).handle(exchange)
            return None
        question = Question(request.method, request.query, request.named.get)
        return send_answer_when_ready(exchange, self.answer(exchange, question))

    def methods(self, exchange: Exchange) -> tuple[str, ...]:
        """Return the methods of requests that are answered."""
        return ASKING

    def answer(self, exchange: Exchange, question: Question) -> Answer | Future[Answer]:
        """Return the answer."""
        raise NotImplementedError
