"""How far is that transfer? The question of one request, and its answer."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from concurrent.futures import Future

from mod_progress.gateway.exchange import Exchange
from mod_progress.show.formats import FORMATS, HEADERS, Format
from mod_progress.tracker import Answer

#: The fields of a show's answer, by its media type.
SHOW_LINES = {
    form.content_type: "".join(
        f"{name}: {value}\r\n" for name, value in (("Content-Type", form.content_type), *HEADERS)
    ).encode()
    for form in FORMATS.values()
}


class Poll:
    """Answers one question: how far the transfer with that id is."""

    __slots__ = ("callback", "form", "identifier")

    def __init__(self, identifier: str, form: Format, callback: bytes | None) -> None:
        self.identifier = identifier
        self.form = form
        #: The function that a jsonp answer calls, if the request names one.
        self.callback = callback

    def handle(self, exchange: Exchange) -> Awaitable[None] | None:
        """Answer: at once where the transfer is near."""
        answer = exchange.tracker.answer(self.identifier, self.form, self.callback)
        if isinstance(answer, Future):
            return self._handle_later(exchange, answer)
        exchange.respond(200, answer.body, SHOW_LINES[answer.content_type])
        return None

    async def _handle_later(self, exchange: Exchange, future: Future[Answer]) -> None:
        answer = await asyncio.wrap_future(future)
        exchange.respond(200, answer.body, SHOW_LINES[answer.content_type])
