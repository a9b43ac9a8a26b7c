"""What a fault means while a backend serves an exchange: who is at fault, what the client gets."""

from __future__ import annotations

import asyncio

from mod_progress.gateway.backends.pool import UpstreamConnection
from mod_progress.gateway.exchange import Exchange
from mod_progress.gateway.http.heads import Refusal
from mod_progress.gateway.http.request import RequestHead
from mod_progress.gateway.streams.errors import Cut, Slow

#: Methods that may be sent twice (RFC 9110, section 9.2.2).
_IDEMPOTENT = frozenset({"GET", "HEAD", "PUT", "DELETE", "OPTIONS", "TRACE"})


class Stale(Exception):
    """A kept connection had been closed before the request reached the backend."""


def cause_of(
    error: Exception,
    exchange: Exchange,
    upstream: UpstreamConnection,
    sending: asyncio.Task[None] | None,
) -> Exception:
    """Find the cause: where the request broke off, the backend only seems to be at fault."""
    if sending is not None and sending.done() and (cause := sending.exception()):
        assert isinstance(cause, Exception)
        error = cause
    if not isinstance(error, Cut) or error.stream is not upstream or exchange.started:
        return error
    if isinstance(error, Slow):
        return Refusal(504, f"{upstream} was too slow")
    # Nobody knows whether the backend acted on what it got. So only a request that may be repeated,
    # and of whose body nothing was sent, is sent again (RFC 9112, section 9.3.1).
    if upstream.reused and not upstream.answered and _repeatable(exchange.request):
        return Stale()
    return Refusal(502, f"{upstream}: {error}")


def _repeatable(request: RequestHead) -> bool:
    return request.method in _IDEMPOTENT and request.body_size == 0
