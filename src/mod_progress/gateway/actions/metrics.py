"""The action ``progress.metrics``: the metrics, for Prometheus."""

from __future__ import annotations

from collections.abc import Awaitable

from mod_progress.gateway.actions.poll import send_answer_when_ready
from mod_progress.gateway.exchange import Answering, Exchange, MethodNotAllowed
from mod_progress.show.metrics import answer_metrics
from mod_progress.show.question import Question

_METHODS = ("GET", "HEAD")
_OTHER_METHOD = MethodNotAllowed(_METHODS)


class Metrics(Answering):
    """Answers with the metrics. Who may ask is for the actions before it to say."""

    __slots__ = ()

    def handle(self, exchange: Exchange) -> Awaitable[None] | None:
        """Answer when the store has told its numbers."""
        request = exchange.request
        if request.method not in _METHODS:
            _OTHER_METHOD.handle(exchange)
            return None
        question = Question(request.method, request.query, request.named.get)
        return send_answer_when_ready(exchange, answer_metrics(question, exchange.tracker))
