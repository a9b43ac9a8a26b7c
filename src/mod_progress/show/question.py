"""A question about a transfer: what a front finds in its request, and what it asks for."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from mod_progress.identifier import CALLBACK_PARAMETER, FIELD, find_parameter, identify
from mod_progress.show.formats import Format
from mod_progress.transfer import Snapshot


class Question(NamedTuple):
    """A request for progress, as a front finds it."""

    method: str
    query: bytes
    #: Returns the value of a request header, by its name in lower case; None where there is none.
    field: Callable[[bytes], bytes | None]


class Inquiry(NamedTuple):
    """What a question asks for: which transfer, and in which format."""

    identifier: str
    form: Format
    #: The function that a jsonp answer calls, as the query names it.
    callback: bytes | None

    def render(self, snapshot: Snapshot) -> bytes:
        """Return the body that says how far the transfer is."""
        return self.form.render(snapshot, self.callback)


def inquire(question: Question, form: Format) -> Inquiry | None:
    """Return what a question asks for in that format; None where it carries no valid id."""
    identifier = identify(question.query, question.field(FIELD))
    if identifier is None:
        return None
    return Inquiry(identifier, form, find_parameter(question.query, CALLBACK_PARAMETER))
