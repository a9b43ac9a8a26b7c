"""How far is that transfer? The question, once understood, and its answer."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from concurrent.futures import Future
from typing import NamedTuple

from mod_progress.gateway.exchange import Exchange
from mod_progress.show.answer import Answer, answer_inquiry
from mod_progress.show.formats import FORMATS, Format
from mod_progress.show.question import Inquiry
from mod_progress.tracker import Tracker
from mod_progress.transfer import UNKNOWN, Snapshot, State, Transfer

#: The fields of a show's answer, by its media type.
SHOW_LINES = {
    form.content_type: "".join(f"{name}: {value}\r\n" for name, value in form.fields).encode()
    for form in FORMATS.values()
}

_RESPONSE = b"HTTP/1.1 200 OK\r\n%b%bContent-Length: %d\r\n\r\n%b"


class _Told(NamedTuple):
    """A whole response, and what it was made of."""

    response: bytes
    date: bytes
    snapshot: Snapshot
    #: The running transfer of this process that it tells of, if it is one.
    transfer: Transfer | None


_NOTHING = _Told(b"", b"", UNKNOWN, None)


class Poll:
    """Answers one question: how far the transfer with that id is."""

    __slots__ = ("_callback", "_form", "_identifier", "_last")

    def __init__(self, identifier: str, form: Format, callback: bytes | None) -> None:
        self._identifier = identifier
        self._form = form
        self._callback = callback
        #: The last answer of `repeat`.
        self._last = _NOTHING

    def handle(self, exchange: Exchange) -> Awaitable[None] | None:
        """Answer: at once where the transfer is near."""
        inquiry = Inquiry(self._identifier, self._form, self._callback)
        found = answer_inquiry(inquiry, exchange.tracker)
        if isinstance(found, Future):
            return self._handle_later(exchange, found)
        exchange.respond(200, found.body, SHOW_LINES[self._form.content_type])
        return None

    async def _handle_later(self, exchange: Exchange, future: Future[Answer]) -> None:
        found = await asyncio.wrap_future(future)
        exchange.respond(200, found.body, SHOW_LINES[self._form.content_type])

    def repeat(self, tracker: Tracker, date: bytes) -> bytes | None:
        """Return the whole response to the question asked again; None where it has to wait."""
        last = self._last
        # A transfer of this process that has not moved is not even looked at.
        if (
            last.date is date
            and last.transfer is not None
            and last.transfer.unchanged(last.snapshot)
            and tracker.table.runs(last.transfer)
        ):
            return last.response
        snapshot = tracker.look(self._identifier)
        if not isinstance(snapshot, Snapshot):
            return None
        if last.date is not date or last.snapshot != snapshot:
            last = self._last = self._render(tracker, date, snapshot)
        return last.response

    def _render(self, tracker: Tracker, date: bytes, snapshot: Snapshot) -> _Told:
        form = self._form
        body = form.render(snapshot, self._callback)
        response = _RESPONSE % (date, SHOW_LINES[form.content_type], len(body), body)
        runs = snapshot.state is State.RUNNING
        transfer = tracker.table.find(self._identifier) if runs else None
        return _Told(response, date, snapshot, transfer)
