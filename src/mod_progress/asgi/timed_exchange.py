"""A tracked request of an ASGI application whose response says how long it took."""

from __future__ import annotations

from mod_progress.asgi.exchange import Exchange, Message, Receive, Scope, Send
from mod_progress.server_timing import SERVER_TIMING, ServerTiming
from mod_progress.transfer import Transfer

_NAME = SERVER_TIMING.lower().encode()


class TimedExchange(Exchange):
    """Adds the field Server-Timing to the response, beside those of the app."""

    __slots__ = ("_timing",)

    def __init__(self, scope: Scope, receive: Receive, send: Send, transfer: Transfer) -> None:
        super().__init__(scope, receive, send, transfer)
        self._timing = ServerTiming(transfer.request_size)

    async def receive(self) -> Message:
        """Pass a message of the server on to the app; the body is here when the app has it."""
        message = await super().receive()
        if message["type"] == "http.request" and not message.get("more_body"):
            self._timing.body_ended()
        return message

    async def send(self, message: Message) -> None:
        """Pass a message of the app on to the server; the head of the response with the field."""
        if message["type"] == "http.response.start":
            field = (_NAME, self._timing.value().encode())
            message = {**message, "headers": [*(message.get("headers") or ()), field]}
        await super().send(message)
