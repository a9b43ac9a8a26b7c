"""The answers to a question: how far a transfer is, or why nothing can be said."""

from __future__ import annotations

import json
from concurrent.futures import Future
from typing import NamedTuple

from mod_progress.futures import map_future
from mod_progress.identifier import PARAMETER, RULE
from mod_progress.show.formats import JSON, Fields
from mod_progress.show.question import Inquiry
from mod_progress.tracker import Tracker
from mod_progress.transfer import Snapshot


class Answer(NamedTuple):
    """A response to a question, without the fields that frame it."""

    status: int
    fields: Fields
    body: bytes


def refuse(status: int, reason: str) -> Answer:
    """Return an answer that says why a question is refused."""
    return Answer(status, JSON.fields, json.dumps({"error": reason}).encode())


#: The answer to a question without a valid id.
NO_IDENTIFIER = refuse(400, f"{PARAMETER} is missing, or not {RULE}")

#: The answer to a page of another origin that asks for a script; see `origins.Origins.let_run`.
NOT_FOR_THIS_PAGE = refuse(
    403,
    "a page of another origin could read this format: it is for the pages of this origin and of"
    " allow_origins; use the format json",
)


def present(inquiry: Inquiry, snapshot: Snapshot) -> Answer:
    """Return the answer that says how far a transfer is."""
    return Answer(200, inquiry.form.fields, inquiry.render(snapshot))


def answer_inquiry(inquiry: Inquiry, tracker: Tracker) -> Answer | Future[Answer]:
    """Look the transfer up and answer, at once or as a future where the store is far away."""
    found = tracker.look(inquiry.identifier)
    if isinstance(found, Snapshot):
        return present(inquiry, found)
    return map_future(found, lambda snapshot: present(inquiry, snapshot), tracker.lookup_failed)
