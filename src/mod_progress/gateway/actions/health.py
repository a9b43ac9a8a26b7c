"""The action ``progress.health``: whether this worker works, for load balancers."""

from __future__ import annotations

from mod_progress.gateway.actions.poll import send_answer
from mod_progress.gateway.exchange import Answering, Exchange, MethodNotAllowed
from mod_progress.gateway.state import ServerState
from mod_progress.show.health import answer_health

_METHODS = ("GET", "HEAD")
_OTHER_METHOD = MethodNotAllowed(_METHODS)

#: Seconds without a tick, which comes each second at least, after which the worker's clock is said
#: to stand still.
_LATE = 10.0


class Health(Answering):
    """Answers 200, or 503 with the reasons."""

    __slots__ = ()

    def handle(self, exchange: Exchange) -> None:
        """Answer."""
        if exchange.request.method in _METHODS:
            reasons = _find_reasons(exchange.client.state)
            send_answer(exchange, answer_health(exchange.tracker, reasons))
        else:
            _OTHER_METHOD.handle(exchange)


def _find_reasons(state: ServerState) -> list[str]:
    reasons = ["this server is shutting down"] if state.ending else []
    late = state.loop.time() - state.now
    if late > _LATE:
        reasons.append(f"no limit of time is enforced: the last tick was {late:.0f} seconds ago")
    return reasons
