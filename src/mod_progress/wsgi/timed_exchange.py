"""A tracked request of a WSGI application whose response says how long it took."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from mod_progress.delivery.deliveries import Delivery
from mod_progress.server_timing import SERVER_TIMING, ServerTiming
from mod_progress.transfer import Transfer
from mod_progress.wsgi.exchange import Environ, Exchange, StartResponse, Write
from mod_progress.wsgi.input import Input


class TimedExchange(Exchange):
    """Adds the field Server-Timing to the response, beside those of the app."""

    __slots__ = ("_timing",)

    def __init__(self, environ: Environ, start_response: StartResponse, transfer: Transfer) -> None:
        super().__init__(environ, start_response, transfer)
        self._timing = ServerTiming(transfer.request_size)

    def _make_input(self, body: Any) -> Input:
        return _TimedInput(body, self._transfer, self._delivery, self._timing)

    def start_response(self, status: str, headers: Any, *error: Any, **named_error: Any) -> Write:
        """Begin the response, with the field."""
        headers = [*headers, (SERVER_TIMING, self._timing.value())]
        return super().start_response(status, headers, *error, **named_error)


class _TimedInput(Input):
    """Notes when the app has read the whole body."""

    __slots__ = ("_timing",)

    def __init__(
        self, body: Any, transfer: Transfer, delivery: Delivery, timing: ServerTiming
    ) -> None:
        super().__init__(body, transfer, delivery)
        self._timing = timing

    def _take(self, read: Callable[..., bytes], *size: int) -> bytes:
        data = super()._take(read, *size)
        transfer = self._transfer
        # A chunked body has a size from its end on.
        if transfer.request_size is not None and transfer.received >= transfer.request_size:
            self._timing.body_ended()
        return data
