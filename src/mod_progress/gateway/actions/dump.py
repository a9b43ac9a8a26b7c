"""The action ``progress.show "dump"``: all transfers, for those who run the server."""

from __future__ import annotations

from collections.abc import Awaitable
from dataclasses import dataclass

from mod_progress.gateway.actions.poll import send_answer_when_ready
from mod_progress.gateway.exchange import Answering, Exchange, MethodNotAllowed
from mod_progress.show.dump import Permission, answer_dump
from mod_progress.show.question import Question

_METHODS = ("GET", "HEAD")
_OTHER_METHOD = MethodNotAllowed(_METHODS)


@dataclass(frozen=True, slots=True)
class Dump(Answering):
    """Answers with a page of all transfers. Who may ask is for the actions before it to say."""

    permission: Permission

    def handle(self, exchange: Exchange) -> Awaitable[None] | None:
        """Answer when the page is there."""
        request = exchange.request
        if request.method not in _METHODS:
            _OTHER_METHOD.handle(exchange)
            return None
        question = Question(request.method, request.query, request.named.get)
        answer = answer_dump(question, exchange.tracker, self.permission)
        return send_answer_when_ready(exchange, answer)
