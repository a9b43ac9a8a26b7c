"""The action `progress.dashboard`: a page of all transfers, for those who run the server."""

from __future__ import annotations

from collections.abc import Awaitable

from mod_progress.gateway.actions.poll import send_answer_when_ready
from mod_progress.gateway.exchange import Answering, Exchange, MethodNotAllowed
from mod_progress.show.dashboard import answer_dashboard
from mod_progress.show.dump import Permission
from mod_progress.show.question import Question

_METHODS = ("GET", "HEAD")
_OTHER_METHOD = MethodNotAllowed(_METHODS)


class Dashboard(Answering):
    """Answers a folder: the page, what it loads, and the list. Actions before it say who may."""

    __slots__ = ()

    def handle(self, exchange: Exchange) -> Awaitable[None] | None:
        """Answer, at once or when the list is there."""
        request = exchange.request
        if request.method not in _METHODS:
            _OTHER_METHOD.handle(exchange)
            return None
        question = Question(request.method, request.query, request.named.get)
        answer = answer_dashboard(request.path, question, exchange.tracker, Permission.CUT_IDS)
        return send_answer_when_ready(exchange, answer)
