"""A question about transfers: what a front finds in its request, and what it asks for."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import NamedTuple

from mod_progress.framing import parse_number
from mod_progress.identifier import (
    CALLBACK_PARAMETER,
    FIELD,
    PARAMETER,
    check_identifier,
    find_parameter,
    find_parameters,
    identify,
    shared_form,
)
from mod_progress.show.dialects import CALLBACK_PARAMETER as DIALECT_CALLBACK_PARAMETER
from mod_progress.show.formats import EVENTS, Dialect, Format
from mod_progress.transfer import Snapshot

#: The methods of a question, and of a request to cancel.
ASKING = ("GET", "HEAD")
CANCEL_METHOD = "DELETE"

#: The most seconds that a question may wait for news. Many proxies give an answer up that has not
#: begun after 60 (nginx's proxy_read_timeout).
MOST_WAIT = 30

#: The preference of a question that waits for news (RFC 7240, section 4.3).
_WAIT = re.compile(rb'(?:^|,)[ \t]*wait[ \t]*=[ \t]*"?([0-9]+)"?[ \t]*(?:[,;]|$)', re.IGNORECASE)


_STREAM = EVENTS.content_type.encode()


class Question(NamedTuple):
    """A request for progress, as a front finds it."""

    method: str
    query: bytes
    #: Returns the value of a request header, by its name in lower case; None where there is none.
    field: Callable[[bytes], bytes | None]


class Inquiry(NamedTuple):
    """A question for one answer: about which transfer, and in which format."""

    identifier: str
    form: Format
    #: The function that the answer calls, as the query names it.
    callback: bytes | None
    #: The value of If-None-Match: the answers that the client has.
    known: bytes | None = None
    #: Seconds for which to wait for an answer that the client does not have.
    wait: int = 0

    @property
    def is_plain(self) -> bool:
        """Whether the question is answered at once, whatever the client has."""
        return self.known is None and not self.wait

    def render(self, snapshot: Snapshot) -> bytes:
        """Return the body that says how far the transfer is."""
        return self.form.render(snapshot, self.callback, self.identifier)


class Unanswerable(NamedTuple):
    """A question that names a transfer and cannot be answered, and why."""

    reason: str


#: Where a browser would run what is no name of a function.
_NO_FUNCTION = Unanswerable(
    f"{DIALECT_CALLBACK_PARAMETER} is not the name of a function: letters, digits and . _ $"
)


class Asked(NamedTuple):
    """One of the ids that a question names."""

    #: As the question has it, in either form.
    name: str
    #: The form under which the transfer is kept.
    identifier: str


class Subscription(NamedTuple):
    """A question for a stream of events."""

    asked: tuple[Asked, ...]
    #: Whether the parameter is repeated, so that each event has to say which transfer it is about.
    several: bool
    #: The value of Last-Event-ID: the last event that the client has.
    last: str


def choose_format(question: Question, form: Format) -> Format:
    """Return `EVENTS` where the client accepts a stream, as an EventSource does; else ``form``."""
    accepted = question.field(b"accept")
    return EVENTS if accepted and _STREAM in accepted.lower() else form


#: What a question in a format may be.
Asking = Inquiry | Subscription | Unanswerable


def asks_for_script(asking: Asking | None) -> bool:
    """Whether the answer is a script, which any page can load and so read."""
    return isinstance(asking, Inquiry) and asking.form.is_script


def inquire(question: Question, form: Format) -> Asking | None:
    """Return what a question asks for in that format; None where it carries no valid id."""
    if form is EVENTS:
        return _subscribe(question)
    identifier = identify(question.query, question.field(FIELD))
    if identifier is None:
        return None
    if form.dialect is not None:
        return _inquire_in_dialect(question, form, form.dialect, identifier)
    return Inquiry(
        identifier,
        form,
        find_parameter(question.query, CALLBACK_PARAMETER),
        question.field(b"if-none-match"),
        _wait(question.field(b"prefer")),
    )


def _inquire_in_dialect(
    question: Question, form: Format, dialect: Dialect, identifier: str
) -> Inquiry | Unanswerable:
    """Return what a client of another server's module asks for: it knows no answers that wait."""
    names = dialect.callback
    callback = find_parameter(question.query, DIALECT_CALLBACK_PARAMETER) if names else None
    if names is None or callback is None:
        return Inquiry(identifier, form, None)
    if names.fullmatch(callback) is None:
        return _NO_FUNCTION
    return Inquiry(identifier, dialect.call or form, callback)


def _subscribe(question: Question) -> Subscription | None:
    candidates: Sequence[bytes | None] = find_parameters(question.query, PARAMETER)
    names = [check_identifier(each) for each in candidates or [question.field(FIELD)]]
    asked = {name: Asked(name, shared_form(name)) for name in names if name is not None}
    if None in names:
        return None
    last = question.field(b"last-event-id") or b""
    return Subscription(tuple(asked.values()), len(names) > 1, last.decode("latin-1"))


def _wait(prefer: bytes | None) -> int:
    found = _WAIT.search(prefer) if prefer else None
    if found is None:
        return 0
    seconds = parse_number(found[1], MOST_WAIT)
    return MOST_WAIT if seconds is None else seconds
