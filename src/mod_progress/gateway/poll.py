"""How far is that transfer? The question, once understood, and its answer."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from concurrent.futures import Future

from mod_progress.formats import FORMATS, HEADERS, Format
from mod_progress.gateway.exchange import Exchange
from mod_progress.tracker import Answer, Tracker
from mod_progress.transfer import Snapshot, State, Transfer

#: The fields of a show's answer, by its media type.
SHOW_LINES = {
    form.content_type: "".join(
        f"{name}: {value}\r\n" for name, value in (("Content-Type", form.content_type), *HEADERS)
    ).encode()
    for form in FORMATS.values()
}

_RESPONSE = b"HTTP/1.1 200 OK\r\n%b%bContent-Length: %d\r\n\r\n%b"


class Poll:
    """Answers one question: how far the transfer with that id is."""

    __slots__ = ("_callback", "_form", "_identifier", "_last")

    def __init__(self, identifier: str, form: Format, callback: bytes | None) -> None:
        self._identifier = identifier
        self._form = form
        self._callback = callback
        #: The last response of `repeat`, its Date, and the transfer of this process that it tells
        #: of, as it looked.
        self._last: tuple[bytes, bytes, Transfer, Snapshot] | None = None

    def handle(self, exchange: Exchange) -> Awaitable[None] | None:
        """Answer: at once where the transfer is near."""
        answer = exchange.tracker.answer(self._identifier, self._form, self._callback)
        if isinstance(answer, Future):
            return self._handle_later(exchange, answer)
        exchange.respond(200, answer.body, SHOW_LINES[answer.content_type])
        return None

    async def _handle_later(self, exchange: Exchange, future: Future[Answer]) -> None:
        answer = await asyncio.wrap_future(future)
        exchange.respond(200, answer.body, SHOW_LINES[answer.content_type])

    def repeat(self, tracker: Tracker, date: bytes) -> bytes | None:
        """Return the whole response to the question asked again; None where it has to wait."""
        if self._last is not None:
            response, dated, transfer, shown = self._last
            if dated is date and transfer.unchanged(shown) and tracker.table.runs(transfer):
                return response
            self._last = None
        snapshot = tracker.look(self._identifier)
        if not isinstance(snapshot, Snapshot):
            return None
        form = self._form
        body = form.render(snapshot, self._callback)
        response = _RESPONSE % (date, SHOW_LINES[form.content_type], len(body), body)
        if snapshot.state is State.RUNNING:
            own = tracker.table.find(self._identifier)
            if own is not None:
                self._last = response, date, own, snapshot
        return response
