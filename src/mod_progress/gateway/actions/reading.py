"""What the actions have in common that answer a GET or HEAD with an answer of the show room."""

from __future__ import annotations

from collections.abc import Awaitable
from concurrent.futures import Future

from mod_progress.gateway.actions.poll import send_answer_when_ready
from mod_progress.gateway.exchange import Answering, Exchange, MethodNotAllowed
from mod_progress.show.answer import Answer
from mod_progress.show.question import Question

_METHODS = ("GET", "HEAD")
_OTHER_METHOD = MethodNotAllowed(_METHODS)


class Reading(Answering):
    """Answers any request that nothing has answered before it; a method that writes is refused."""

    __slots__ = ()

    def handle(self, exchange: Exchange) -> Awaitable[None] | None:
        """Answer, at once or when the answer is there."""
        request = exchange.request
        if request.method not in _METHODS:
            _OTHER_METHOD.handle(exchange)
            return None
        question = Question(request.method, request.query, request.named.get)
        return send_answer_when_ready(exchange, self.answer(exchange, question))

    def answer(self, exchange: Exchange, question: Question) -> Answer | Future[Answer]:
        """Return the answer."""
        raise NotImplementedError
