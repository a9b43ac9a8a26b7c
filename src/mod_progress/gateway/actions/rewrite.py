"""The actions `rewrite` and `rewrite_raw`: another target for the actions that follow."""

from __future__ import annotations

import re
from dataclasses import dataclass

from mod_progress.gateway.actions.templates import Match, Pattern
from mod_progress.gateway.exchange import Exchange
from mod_progress.gateway.http.target import PATH_SAFE, QUERY_SAFE, encode_path


@dataclass(frozen=True, slots=True)
class RewriteRule:
    """A new path, for the paths that match ``expression``; None: for all.

    Where ``query`` is None, the query stays. What is filled in is decoded text, or bytes as they
    came: text is encoded anew, so that it stands for itself in the new target.
    """

    path: Pattern
    query: Pattern | None = None
    expression: re.Pattern[str] | None = None

    def target(self, exchange: Exchange) -> bytes | None:
        """Return the new target, or None where the path does not match."""
        request = exchange.request
        match = None
        if self.expression is not None:
            match = self.expression.search(request.path)
            if match is None:
                return None
        target = encode_path(self.path.fill(exchange, match))
        query = request.query
        if self.query is not None:
            query = self.query.fill_encoded(exchange, match, QUERY_SAFE)
        return b"%b?%b" % (target, query) if query else target


@dataclass(frozen=True, slots=True)
class RawRewriteRule:
    """A new target, as it goes on, for the targets that match ``expression``; None: for all."""

    pattern: Pattern
    expression: re.Pattern[bytes] | None = None

    def target(self, exchange: Exchange) -> bytes | None:
        """Return the new target, or None where the target does not match."""
        match: Match | None = None
        if self.expression is not None:
            match = self.expression.search(exchange.request.target)
            if match is None:
                return None
        target = self.pattern.fill_encoded(exchange, match, PATH_SAFE)
        return target if target.startswith(b"/") else b"/" + target


@dataclass(frozen=True, slots=True)
class Rewrite:
    """Gives a request that nothing has answered before the target of the first rule that matches.

    The path on disk stays: as in lighttpd 2, `docroot` belongs behind it.
    """

    rules: tuple[RewriteRule, ...] | tuple[RawRewriteRule, ...]

    def __call__(self, exchange: Exchange) -> None:
        """Change the request's target. ``OPTIONS *`` is for no path, and stays."""
        if exchange.handler is not None or exchange.request.target == b"*":
            return
        for rule in self.rules:
            target = rule.target(exchange)
            if target is not None:
                exchange.request = exchange.request.with_target(target)
                return
