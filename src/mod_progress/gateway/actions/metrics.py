"""The action ``progress.metrics``: the metrics, for Prometheus."""

from __future__ import annotations

from concurrent.futures import Future

from mod_progress.gateway.actions.reading import Reading
from mod_progress.gateway.exchange import Exchange
from mod_progress.show.answer import Answer
from mod_progress.show.metrics import answer_metrics
from mod_progress.show.question import Question


class Metrics(Reading):
    """Answers with the metrics. Who may ask is for the actions before it to say."""

    __slots__ = ()

    def answer(self, exchange: Exchange, question: Question) -> Answer | Future[Answer]:
        """Return the metrics, when the store has told its numbers."""
        return answer_metrics(question, exchange.tracker)
