"""The format ``dump``: a page of the transfers of all processes and machines, as a JSON array.

It is for those who run the server. So a front answers it only where it was told to, and to those
who may; and pages of other origins never read it, whatever `origins` allows them.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable
from concurrent.futures import Future
from enum import Enum
from typing import TypeVar, cast
from urllib.parse import quote

from mod_progress.framing import parse_number
from mod_progress.futures import map_future
from mod_progress.identifier import find_parameter
from mod_progress.options import OptionError
from mod_progress.show.answer import Answer, refuse
from mod_progress.show.events import NO_STREAM
from mod_progress.show.formats import EVENTS, JSON, Fields
from mod_progress.show.list_stream import MOST_STREAMED, LiveLists
from mod_progress.show.live_list import Topic
from mod_progress.show.question import ASKING, CANCEL_METHOD, Question, choose_format
from mod_progress.show.rows import LISTED_STATES, count_states, describe
from mod_progress.stores.listing import DEFAULT_LIMIT, MOST_LIMIT, Cursor, Page, Query, Sort
from mod_progress.tracker import Tracker
from mod_progress.transfer import State

__all__ = ["DUMP", "Permission", "answer_dump"]

#: The name of the format.
DUMP = "dump"

#: How many transfers fit, and how many of each state do (a Dictionary of RFC 9651).
TOTAL = "X-Progress-Total"
STATES = "X-Progress-States"

#: Characters of the longest value of a parameter that is looked at.
_MOST_VALUE = 1000

#: Seconds of the greatest age that is asked for: a hundred years.
_MOST_AGE = 100 * 365 * 86_400

_SORTS = [*Sort, *(f"-{sort}" for sort in Sort)]

_Value = TypeVar("_Value")


class Permission(Enum):
    """What somebody may see of all transfers."""

    NOTHING = "nothing"
    #: All but the ends of the ids, so that nobody can ask for one of the transfers by its id, or
    #: take it over.
    CUT_IDS = "cut ids"
    WHOLE_IDS = "whole ids"


#: The answer to somebody who may see nothing.
_FORBIDDEN = refuse(403, f"the format {DUMP} is not for you")


def answer_dump(
    question: Question,
    tracker: Tracker,
    permission: Permission,
    lists: LiveLists | None = None,
    cancels: bool = False,
) -> Answer | Future[Answer]:
    """Answer a question for all transfers, at once where it is refused.

    Who accepts a stream gets one out of ``lists``; without these there is none. ``cancels`` is
    whether who asks may cancel the transfers, by a DELETE on the same address: the answer says so.
    """
    if permission is Permission.NOTHING:
        return _FORBIDDEN
    streams = choose_format(question, JSON) is EVENTS
    try:
        query = parse_query(question.query, MOST_STREAMED if streams else MOST_LIMIT)
    except OptionError as error:
        return refuse(400, str(error))
    whole = permission is Permission.WHOLE_IDS
    if streams:
        return NO_STREAM if lists is None else lists.answer(Topic(query, whole, cancels))
    known = question.field(b"if-none-match") or b""

    def present(listed: Page | Exception) -> Answer:
        if isinstance(listed, Exception):
            return refuse(503, f"the transfers cannot be listed: {listed}")
        return _compare(_present(listed, question.query, whole, cancels), known)

    listed = cast("Future[Page | Exception]", tracker.page(query))
    return map_future(listed, present, lambda error: error)


def parse_query(query: bytes, most: int = MOST_LIMIT) -> Query:
    """Return what the parameters of a request ask for, up to ``most`` entries.

    Raises `OptionError`. A parameter without a value is as good as none.
    """
    reverse, sort = _read(query, "sort", _parse_sort, f"one of {', '.join(_SORTS)}") or (
        False,
        Sort.STARTED,
    )
    return Query(
        _read(query, "state", _parse_state, f"one of {', '.join(LISTED_STATES)}"),
        _read(query, "path", str, "") or "",
        _read(query, "peer", str, "") or "",
        _read(query, "age", _parse_age, "a number of seconds") or 0.0,
        sort,
        reverse,
        _read(
            query,
            "limit",
            lambda text: parse_number(text, most) or None,
            f"a number from 1 to {most}",
        )
        or DEFAULT_LIMIT,
        _read(query, "after", Cursor.parse, "what the answer before named as the next page"),
    )


def _read(
    query: bytes, name: str, parse: Callable[[str], _Value | None], takes: str
) -> _Value | None:
    """Return the value of a parameter; None where there is none."""
    found = find_parameter(query, name)
    if not found:
        return None
    text = found[:_MOST_VALUE].decode("utf-8", "replace")
    value = parse(text)
    if value is None:
        raise OptionError(name, text, takes)
    return value


def _parse_sort(text: str) -> tuple[bool, Sort] | None:
    return (text.startswith("-"), Sort(text.removeprefix("-"))) if text in _SORTS else None


def _parse_state(text: str) -> State | None:
    return State(text) if text in LISTED_STATES else None


def _parse_age(text: str) -> float | None:
    number = parse_number(text, _MOST_AGE)
    return None if number is None else float(number)


def _present(page: Page, query: bytes, whole: bool, cancels: bool) -> Answer:
    lines = ",\n".join(json.dumps(describe(entry, whole)) for entry in page.entries)
    states = ", ".join(f"{state}={count}" for state, count in count_states(page).items())
    fields: Fields = (*JSON.fields, (TOTAL, str(page.total)), (STATES, states))
    if cancels:
        fields += (("Allow", ", ".join((*ASKING, CANCEL_METHOD))),)
    if page.after is not None:
        fields += (("Link", f'<{_next(query, page.after)}>; rel="next"'),)
    return Answer(200, fields, f"[{lines}]\n".encode())


#: The parameter that says where a page begins, and all that is no part of a query (RFC 3986).
_AFTER = re.compile(rb"(?:^|&)after=[^&]*", re.IGNORECASE)
_IN_QUERY = "!$&'()*+,;=:@/?%-._~"


def _next(query: bytes, after: Cursor) -> str:
    """Return the address of the next page, relative to that of this one (RFC 8288, section 3)."""
    kept = _AFTER.sub(b"", query).lstrip(b"&")
    parameters = [*([quote(kept, safe=_IN_QUERY)] if kept else []), f"after={after}"]
    return "?" + "&".join(parameters)


def _compare(answer: Answer, known: bytes) -> Answer:
    """Return the answer with its ETag, or 304 where the client has it."""
    status, fields, body = answer
    made = hashlib.sha256(repr((fields, body)).encode()).hexdigest()
    tag = f'"{made[:16]}"'
    fields = (*fields, ("ETag", tag))
    if tag.encode() in known or known.strip() == b"*":
        return Answer(304, tuple(field for field in fields if field[0] != "Content-Type"), b"")
    return Answer(status, fields, body)
