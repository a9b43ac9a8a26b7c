"""The action `progress.dashboard`: a page of all transfers, for those who run the server."""

from __future__ import annotations

from concurrent.futures import Future

from mod_progress.gateway.actions.reading import Reading
from mod_progress.gateway.exchange import Exchange
from mod_progress.show.answer import Answer
from mod_progress.show.dashboard import answer_dashboard
from mod_progress.show.dump import Permission
from mod_progress.show.question import Question


class Dashboard(Reading):
    """Answers a folder: the page, what it loads, and the list. Actions before it say who may."""

    __slots__ = ()

    def answer(self, exchange: Exchange, question: Question) -> Answer | Future[Answer]:
        """Return what the path names."""
        path = exchange.request.path
        return answer_dashboard(path, question, exchange.tracker, Permission.CUT_IDS)
