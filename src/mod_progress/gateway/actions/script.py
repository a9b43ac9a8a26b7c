"""The action `progress.script`: the script for browsers."""

from __future__ import annotations

from mod_progress.gateway.actions.reading import Reading
from mod_progress.gateway.exchange import Exchange
from mod_progress.show.answer import Answer
from mod_progress.show.question import Question
from mod_progress.show.script import serve_script


class Script(Reading):
    """Answers with the module of the script that the last segment of the path names."""

    __slots__ = ()

    def answer(self, exchange: Exchange, question: Question) -> Answer:
        """Return the module."""
        return serve_script(exchange.request.path, question.field)
