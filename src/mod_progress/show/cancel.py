"""The answer to a DELETE on the show's address, which cancels the transfer that it names."""

from __future__ import annotations

from concurrent.futures import Future

from mod_progress.futures import map_future
from mod_progress.identifier import (
    FIELD,
    OWNER_PREFIX,
    check_identifier,
    find_identifier,
    shared_form,
)
from mod_progress.show.answer import NO_IDENTIFIER, Answer, refuse
from mod_progress.show.formats import JSON
from mod_progress.show.question import Question
from mod_progress.tracker import Cancellation, Tracker

__all__ = ["CANCEL_METHOD", "answer_cancel", "is_from_owner"]

#: The method of a request to cancel.
CANCEL_METHOD = "DELETE"

_FORBIDDEN = refuse(
    403, f"only its owner may cancel a transfer, by the id as it was sent: {OWNER_PREFIX}SECRET"
)

_ANSWERS = {
    Cancellation.ENDED: Answer(204, tuple(f for f in JSON.fields if f[0] != "Content-Type"), b""),
    # The transfer runs on until its process has learned of it, which takes about a second.
    Cancellation.ASKED: Answer(202, JSON.fields, b'{"state": "running"}'),
    Cancellation.UNKNOWN: refuse(404, "there is no transfer with this id"),
    Cancellation.FAILED: refuse(503, "the store cannot be used: try again in a moment"),
}


def is_from_owner(question: Question) -> bool:
    """Whether a question names an id in its owner's form, which may cancel its transfer.

    Whoever knows a plain id or the shared form of one may only look.
    """
    candidate = find_identifier(question.query, question.field(FIELD))
    return candidate is not None and candidate.startswith(OWNER_PREFIX.encode())


def answer_cancel(question: Question, tracker: Tracker, permitted: bool) -> Answer | Future[Answer]:
    """Cancel the transfer that a question names, where that is ``permitted`` or its owner asks."""
    identifier = check_identifier(find_identifier(question.query, question.field(FIELD)))
    if identifier is None:
        return NO_IDENTIFIER
    if not permitted and not is_from_owner(question):
        return _FORBIDDEN
    outcome = tracker.cancel(shared_form(identifier))
    if isinstance(outcome, Cancellation):
        return _ANSWERS[outcome]
    return map_future(outcome, _ANSWERS.__getitem__)
