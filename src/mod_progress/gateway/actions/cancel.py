"""The action ``progress.cancel``: a DELETE ends the transfer whose id it names."""

from __future__ import annotations

import re
from collections.abc import Awaitable
from dataclasses import dataclass

from mod_progress.gateway.actions.origins import MAY_CANCEL, is_preflight, will_cancel
from mod_progress.gateway.actions.path_identifier import find_carried
from mod_progress.gateway.actions.poll import let_read, send_answer_when_ready
from mod_progress.gateway.exchange import Exchange
from mod_progress.show.cancel import answer_cancel
from mod_progress.show.question import CANCEL_METHOD, Question


@dataclass(frozen=True, slots=True)
class Cancel:
    """Takes the requests to cancel a transfer; others are for the actions that follow."""

    #: Whether any transfer is cancelled, and not only for its owner. Who may ask is for the actions
    #: before it to say.
    any: bool = False
    #: Finds the id in the path; see `path_identifier`.
    expression: re.Pattern[bytes] | None = None

    def __call__(self, exchange: Exchange) -> None:
        """Take a DELETE that nothing has taken before, or a preflight of one."""
        if exchange.handler is not None:
            return
        if exchange.request.method == CANCEL_METHOD:
            exchange.handler = self
        elif is_preflight(exchange) and will_cancel(exchange):
            if self.expression is not None:
                find_carried(exchange, self.expression)  # so that no log has the id
            exchange.handler = MAY_CANCEL

    def handle(self, exchange: Exchange) -> Awaitable[None] | None:
        """Cancel the transfer, and say what came of it."""
        request = exchange.request
        query = request.query
        if self.expression is not None:
            query, _ = find_carried(exchange, self.expression)
        question = Question(request.method, query, request.named.get)
        answer = answer_cancel(question, exchange.tracker, self.any)
        return send_answer_when_ready(exchange, let_read(exchange, answer))
