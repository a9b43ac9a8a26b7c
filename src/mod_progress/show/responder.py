"""Answers the questions that a middleware gets."""

from __future__ import annotations

from collections.abc import Iterable
from concurrent.futures import Future

from mod_progress.identifier import find_parameter
from mod_progress.options import OptionError
from mod_progress.show.answer import NO_IDENTIFIER, NOT_FOR_THIS_PAGE, Answer, refuse
from mod_progress.show.answering import answer_inquiry
from mod_progress.show.cancel import answer_cancel
from mod_progress.show.dump import DUMP
from mod_progress.show.formats import Format, find_format
from mod_progress.show.origins import Origins
from mod_progress.show.question import (
    ASKING,
    CANCEL_METHOD,
    Question,
    asks_for_script,
    choose_format,
    inquire,
)
from mod_progress.show.ticker import Ticker
from mod_progress.tracker import Tracker

#: The query parameter that names the format of the answer.
FORMAT_PARAMETER = "format"

_REFUSED = refuse(405, "transfers cannot be cancelled here")
_CANCELS_NOTHING = _REFUSED._replace(fields=(*_REFUSED.fields, ("Allow", ", ".join(ASKING))))

#: Bytes of the longest name of a format that is looked at.
_MOST_NAME = 100


class Responder:
    """Answers in the format that the query names, or else that the client accepts, or in ``form``.

    Pages of the origins in ``allow_origins`` may read the answers. Without a ``ticker`` no answer
    waits for news; without ``cancels`` nobody cancels a transfer. Raises `options.OptionError`
    where a parameter is not what it takes.
    """

    def __init__(
        self,
        tracker: Tracker,
        form: str = "json",
        allow_origins: str | Iterable[str] = (),
        ticker: Ticker | None = None,
        cancels: bool = False,
    ) -> None:
        self._tracker = tracker
        self._ticker = ticker
        self._form = find_format(form)
        self._origins = Origins(allow_origins)
        self._methods = (*ASKING, CANCEL_METHOD) if cancels else ASKING

    def takes(self, method: str) -> bool:
        """Whether a request of that method is a question, the preflight of one, or to cancel."""
        if method == "OPTIONS":
            return bool(self._origins)
        return method in ASKING or method == CANCEL_METHOD

    def asks_for_dump(self, question: Question) -> bool:
        """Whether a question is one for all transfers, which `dump.answer_dump` answers."""
        return find_parameter(question.query, FORMAT_PARAMETER) == DUMP.encode()

    def answer(self, question: Question, permitted: bool = False) -> Answer | Future[Answer]:
        """Answer a question, at once or as a future.

        ``permitted`` is whether it may cancel any transfer.
        """
        origin = question.field(b"origin")
        if question.method == "OPTIONS":
            return self._origins.preflight(origin, self._methods)
        if question.method == CANCEL_METHOD:
            found = self._cancel(question, permitted)
        else:
            found = self._inquire(question)
        return self._origins.let_read(found, origin)

    def _cancel(self, question: Question, permitted: bool) -> Answer | Future[Answer]:
        if CANCEL_METHOD not in self._methods:
            return _CANCELS_NOTHING
        return answer_cancel(question, self._tracker, permitted)

    def _inquire(self, question: Question) -> Answer | Future[Answer]:
        try:
            form = self._find_form(question)
        except OptionError as error:
            return refuse(400, str(error))
        inquiry = inquire(question, form)
        if inquiry is None:
            return NO_IDENTIFIER
        if asks_for_script(inquiry) and not self._origins.let_run(question.field):
            return NOT_FOR_THIS_PAGE
        return answer_inquiry(inquiry, self._tracker, self._ticker)

    def _find_form(self, question: Question) -> Format:
        named = find_parameter(question.query, FORMAT_PARAMETER)
        if named is None:
            return choose_format(question, self._form)
        return find_format(named[:_MOST_NAME].decode("latin-1"))
