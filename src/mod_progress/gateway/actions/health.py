"""The action ``progress.health``: whether this worker works, for load balancers."""

from __future__ import annotations

from mod_progress.gateway.actions.reading import Reading
from mod_progress.gateway.exchange import Exchange
from mod_progress.gateway.state import ServerState
from mod_progress.show.answer import Answer
from mod_progress.show.health import answer_health
from mod_progress.show.question import Question

#: Seconds without a tick, which comes each second at least, after which the worker's clock is said
#: to stand still.
_LATE = 10.0


class Health(Reading):
    """Answers 200, or 503 with the reasons."""

    __slots__ = ()

    def answer(self, exchange: Exchange, question: Question) -> Answer:
        """Return how this worker is."""
        return answer_health(exchange.tracker, _find_reasons(exchange.client.state))


def _find_reasons(state: ServerState) -> list[str]:
    reasons = ["this server is shutting down"] if state.ending else []
    late = state.loop.time() - state.now
    if late > _LATE:
        reasons.append(f"no limit of time is enforced: the last tick was {late:.0f} seconds ago")
    return reasons
