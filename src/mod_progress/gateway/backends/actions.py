"""The actions that let a backend answer."""

from __future__ import annotations

from collections.abc import Awaitable
from dataclasses import dataclass
from typing import Protocol

from mod_progress.gateway.exchange import Answering, Exchange


class Backend(Protocol):
    """A server that answers in the gateway's place, in whatever protocol it speaks."""

    def serve(self, exchange: Exchange) -> Awaitable[None] | None:
        """Send the request on, and relay the answer.

        Raises `Refusal` (502, 504) while nothing is answered. Returns None where no task is needed:
        a callback concludes the exchange when the answer has come.
        """


@dataclass(frozen=True, slots=True)
class Proxy(Answering):
    """Lets a backend answer."""

    backend: Backend

    def handle(self, exchange: Exchange) -> Awaitable[None] | None:
        """Relay the exchange."""
        return self.backend.serve(exchange)


@dataclass(frozen=True, slots=True)
class BufferRequestBody:
    """Says whether a backend gets the request only when the request's whole body is here."""

    flag: bool

    def __call__(self, exchange: Exchange) -> None:
        """Tell whoever passes the request on."""
        exchange.buffer_request_body = self.flag
