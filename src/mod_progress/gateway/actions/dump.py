"""The action ``progress.show "dump"``: all transfers, for those who run the server."""

from __future__ import annotations

from concurrent.futures import Future
from dataclasses import dataclass

from mod_progress.gateway.actions.reading import Reading
from mod_progress.gateway.exchange import Exchange
from mod_progress.show.answer import Answer
from mod_progress.show.dump import Permission, answer_dump
from mod_progress.show.question import Question


@dataclass(frozen=True, slots=True)
class Dump(Reading):
    """Answers with a page of all transfers. Who may ask is for the actions before it to say."""

    permission: Permission

    def answer(self, exchange: Exchange, question: Question) -> Answer | Future[Answer]:
        """Return the page."""
        lists = exchange.client.state.lists
        return answer_dump(question, exchange.tracker, self.permission, lists)
