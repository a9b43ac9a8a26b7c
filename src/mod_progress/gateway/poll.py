"""How far is that transfer? The question, once understood, and its answer."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from concurrent.futures import Future

from mod_progress.formats import FORMATS, HEADERS, Format
from mod_progress.gateway.exchange import Exchange
from mod_progress.tracker import Answer, Tracker
from mod_progress.transfer import Snapshot

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

    __slots__ = ("_callback", "_form", "_identifier")

    def __init__(self, identifier: str, form: Format, callback: bytes | None) -> None:
        self._identifier = identifier
        self._form = form
        self._callback = callback

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
        snapshot = tracker.look(self._identifier)
        if not isinstance(snapshot, Snapshot):
            return None
        form = self._form
        body = form.render(snapshot, self._callback)
        return _RESPONSE % (date, SHOW_LINES[form.content_type], len(body), body)
