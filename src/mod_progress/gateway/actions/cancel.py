"""The action ``progress.cancel``: a DELETE ends the transfer whose id it names."""

from __future__ import annotations

from collections.abc import Awaitable
from dataclasses import dataclass

from mod_progress.gateway.actions.poll import send_answer_when_ready
from mod_progress.gateway.exchange import Exchange
from mod_progress.show.cancel import CANCEL_METHOD, answer_cancel
from mod_progress.show.question import Question


@dataclass(frozen=True, slots=True)
class Cancel:
    """Takes the requests to cancel a transfer; others are for the actions that follow."""

    #: Whether any transfer is cancelled, and not only for its owner. Who may ask is for the actions
    #: before it to say.
    any: bool = False

    def __call__(self, exchange: Exchange) -> None:
        """Take a DELETE that nothing has taken before."""
        if exchange.handler is None and exchange.request.method == CANCEL_METHOD:
            exchange.handler = self

    def handle(self, exchange: Exchange) -> Awaitable[None] | None:
        """Cancel the transfer, and say what came of it."""
        request = exchange.request
        question = Question(request.method, request.query, request.named.get)
        answer = answer_cancel(question, exchange.tracker, self.any)
        return send_answer_when_ready(exchange, answer)
