"""The action `progress.dashboard`: a page of all transfers, for those who run the server."""

from __future__ import annotations

from concurrent.futures import Future
from dataclasses import dataclass

from mod_progress.gateway.actions.reading import Reading
from mod_progress.gateway.exchange import Exchange
from mod_progress.show.answer import Answer
from mod_progress.show.dashboard import answer_dashboard, is_list
from mod_progress.show.dump import Permission
from mod_progress.show.question import ASKING, CANCEL_METHOD, Question


@dataclass(frozen=True, slots=True)
class Dashboard(Reading):
    """Answers a folder: the page, what it loads, and the list. Actions before it say who may."""

    #: Whether those who may see it may cancel transfers too.
    cancels: bool = False

    def methods(self, exchange: Exchange) -> tuple[str, ...]:
        """Return also the method by which a row of the list is cancelled."""
        if self.cancels and is_list(exchange.request.path):
            return (*ASKING, CANCEL_METHOD)
        return ASKING

    def answer(self, exchange: Exchange, question: Question) -> Answer | Future[Answer]:
        """Return what the path names."""
        return answer_dashboard(
            exchange.request.path,
            question,
            exchange.tracker,
            Permission.CUT_IDS,
            exchange.client.state.lists,
            self.cancels,
        )
