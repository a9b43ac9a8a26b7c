"""The answers to a question: how far a transfer is, or why nothing can be said."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import NamedTuple, Protocol

from mod_progress.identifier import PARAMETER, RULE
from mod_progress.show.formats import JSON, Fields
from mod_progress.show.question import Inquiry
from mod_progress.show.ticker import Post
from mod_progress.transfer import Snapshot


class Stream(Protocol):
    """A body that comes in parts, while the client reads.

    A front opens it, takes and sends what there is, and waits until it is woken to take again; so
    a client that does not read misses what is outdated when it reads again.
    """

    #: Whether `take` has returned the last part, or the stream was closed.
    ended: bool

    def open(self, post: Post, wake: Callable[[], object]) -> None:
        """Begin. From now on ``wake`` is called through ``post`` when there is something to take.

        It is not called again before `take` was.
        """

    def take(self) -> bytes:
        """Return what is to be sent now, which may be nothing."""

    def close(self) -> None:
        """End: nobody takes any more."""


class Answer(NamedTuple):
    """A response to a question, without the fields that frame it."""

    status: int
    fields: Fields
    body: bytes | Stream


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
