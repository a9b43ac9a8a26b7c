"""The answers to a DELETE, which cancels a transfer.

On the show's address it names the transfer by its id. On the address of a list it names a row: an
id in a list may be cut, but it and the moment of the start tell one transfer from the others.
"""

from __future__ import annotations

from concurrent.futures import Future
from datetime import datetime

from mod_progress.futures import chain_future, map_future
from mod_progress.identifier import (
    FIELD,
    OWNER_PREFIX,
    check_identifier,
    find_identifier,
    find_parameter,
    obscure,
    shared_form,
)
from mod_progress.show.answer import NO_IDENTIFIER, Answer, refuse
from mod_progress.show.formats import JSON
from mod_progress.show.origins import OWN_SITES
from mod_progress.show.question import Question
from mod_progress.show.rows import describe_moment
from mod_progress.stores.listing import MOST_LIMIT, Cursor, Page, Query
from mod_progress.tracker import Cancellation, Tracker

__all__ = ["answer_cancel", "answer_cancel_of_row", "is_from_owner"]

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

#: The answers to a request to cancel the transfer of a row.
_NOT_FOR_YOU = refuse(403, "to cancel transfers is not for you")
_NO_ROW = refuse(400, "id and started are missing, or not as the list has them")
_SEVERAL = refuse(409, "several transfers look like this one: cancel it by its whole id")

#: Seconds by which the start of a transfer may be later than a list says, which has milliseconds.
_ROUNDED = 0.001


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
    return _say(tracker.cancel(shared_form(identifier)))


def answer_cancel_of_row(
    question: Question, tracker: Tracker, permitted: bool
) -> Answer | Future[Answer]:
    """Cancel the transfer that ``id`` and ``started`` name, both as a list has them.

    No page of another origin may have a browser ask for it.
    """
    if not permitted or question.field(b"sec-fetch-site") not in (None, *OWN_SITES):
        return _NOT_FOR_YOU
    named = [find_parameter(question.query, name) or b"" for name in ("id", "started")]
    identifier, started = (each.decode("latin-1") for each in named)
    try:
        moment = datetime.fromisoformat(started).timestamp() + _ROUNDED
    except (ValueError, OverflowError):
        return _NO_ROW
    # The place in the list before those that began at that moment.
    query = Query(limit=MOST_LIMIT, after=Cursor(-moment, -moment, 0))

    def cancel(page: Page) -> Answer | Future[Answer]:
        found = [
            entry.identifier
            for entry in page.entries
            if describe_moment(entry.snapshot.started / 1e9) == started
            and identifier in (entry.identifier, obscure(entry.identifier))
        ]
        if len(found) > 1:
            return _SEVERAL
        return _say(tracker.cancel(found[0]) if found else Cancellation.UNKNOWN)

    return chain_future(tracker.page(query), cancel, lambda error: _ANSWERS[Cancellation.FAILED])


def _say(outcome: Cancellation | Future[Cancellation]) -> Answer | Future[Answer]:
    """Return the answer that says what came of a request to cancel."""
    if isinstance(outcome, Cancellation):
        return _ANSWERS[outcome]
    return map_future(outcome, _ANSWERS.__getitem__)
