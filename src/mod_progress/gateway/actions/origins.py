"""The option `progress.allow_origins`: pages of other origins that may read the show's answers."""

from __future__ import annotations

from dataclasses import dataclass

from mod_progress.gateway.actions.poll import send_answer
from mod_progress.gateway.exchange import Exchange
from mod_progress.identifier import FIELD
from mod_progress.show.origins import Origins
from mod_progress.show.question import ASKING, CANCEL_METHOD


@dataclass(frozen=True, slots=True)
class AllowOrigins:
    """Names the origins, which may be none."""

    origins: Origins

    def __call__(self, exchange: Exchange) -> None:
        """Tell whoever answers for a transfer."""
        exchange.origins = self.origins or None


@dataclass(frozen=True, slots=True)
class Preflight:
    """Answers a preflight, by which a browser asks for a page what it may send (Fetch standard)."""

    methods: tuple[str, ...]

    def handle(self, exchange: Exchange) -> None:
        """Answer."""
        assert exchange.origins is not None
        origin = exchange.request.named.get(b"origin")
        send_answer(exchange, exchange.origins.preflight(origin, self.methods))


#: Answer where the page would ask, and where it would cancel.
MAY_ASK = Preflight(ASKING)
MAY_CANCEL = Preflight((*ASKING, CANCEL_METHOD))


def is_preflight(exchange: Exchange) -> bool:
    """Whether this is a preflight that some page may be answered."""
    return exchange.origins is not None and exchange.request.method == "OPTIONS"


def will_cancel(exchange: Exchange) -> bool:
    """Whether the request that a preflight is for is one to cancel."""
    method = exchange.request.named.get(b"access-control-request-method")
    return method == CANCEL_METHOD.encode()


def will_name(exchange: Exchange) -> bool:
    """Whether the request that a preflight is for has its id in a field, as only ours have."""
    fields = exchange.request.named.get(b"access-control-request-headers", b"")
    return FIELD in fields.lower()
