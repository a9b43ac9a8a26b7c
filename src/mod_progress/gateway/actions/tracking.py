"""The actions `progress.track` and `progress.show`, and their options."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

from mod_progress.gateway.actions.origins import MAY_ASK, is_preflight, will_name
from mod_progress.gateway.actions.path_identifier import find_carried
from mod_progress.gateway.actions.poll import Poll, Refused
from mod_progress.gateway.exchange import Exchange, MethodNotAllowed
from mod_progress.options import Options
from mod_progress.show.answer import NO_IDENTIFIER, NOT_FOR_THIS_PAGE
from mod_progress.show.formats import JSON, Format
from mod_progress.show.question import (
    ASKING,
    CANCEL_METHOD,
    Asking,
    Question,
    asks_for_script,
    choose_format,
    inquire,
)
from mod_progress.tracker import logger


@dataclass(frozen=True, slots=True)
class SetOptions:
    """Sets tracking options for this request; None leaves one as it is."""

    methods: frozenset[str] | None = None
    debug: bool | None = None
    server_timing: bool | None = None

    def __call__(self, exchange: Exchange) -> None:
        """Replace the exchange's options."""
        exchange.options = self.over(exchange.options)

    def over(self, options: Options) -> Options:
        """Return the options with what is set here."""
        return replace(
            options,
            methods=options.methods if self.methods is None else self.methods,
            debug=options.debug if self.debug is None else self.debug,
            server_timing=(
                options.server_timing if self.server_timing is None else self.server_timing
            ),
        )


@dataclass(frozen=True, slots=True)
class Track:
    """Enters the request into the table of transfers.

    ``expression`` finds the id in the path; see `path_identifier`.
    """

    expression: re.Pattern[bytes] | None = None

    def __call__(self, exchange: Exchange) -> None:
        """Track it if its method is tracked and it carries an id."""
        if exchange.transfer.identifier:
            logger.warning("progress.track: %s is tracked already", exchange.logged_target)
            return
        request = exchange.request
        query, path = request.query, request.path
        if self.expression is not None:
            query, path = find_carried(exchange, self.expression)
        transfer = exchange.tracker.track(
            request.method,
            query,
            exchange.identifier_field,
            request.body_size,
            exchange.options,
            path=path,
            peer=exchange.remote[0],
        )
        if transfer is not None:
            transfer.unacknowledged = exchange.client.unacknowledged
            exchange.transfer = transfer
            transfer.served_by(exchange.client)
            if exchange.options.server_timing:
                exchange.measure()


#: Answers a show that names no id, where nothing else answers the request.
_MISSING_IDENTIFIER = Refused(NO_IDENTIFIER)

#: Answers where a page of another origin could read the answer, and may not.
_NOT_FOR_THIS_PAGE = Refused(NOT_FOR_THIS_PAGE)

#: Answers a request to cancel where `progress.cancel` does not.
_CANCELS_NOTHING = MethodNotAllowed(ASKING)


@dataclass(frozen=True, slots=True)
class Show:
    """Answers how far a transfer is.

    As in lighttpd 2's mod_progress, the actions that follow get a request without a valid id.
    """

    form: Format = JSON
    #: Finds the id in the path; see `path_identifier`.
    expression: re.Pattern[bytes] | None = None

    def __call__(self, exchange: Exchange) -> None:
        """Answer the request, if it names an id."""
        if exchange.handler is not None:
            return
        request = exchange.request
        query = request.query
        if self.expression is not None:
            query, _ = find_carried(exchange, self.expression)
        question = Question(request.method, query, request.named.get)
        inquiry = inquire(question, choose_format(question, self.form))
        if exchange.origins is not None and _minds_origin(exchange, inquiry):
            return
        if inquiry is None:
            exchange.fallback = _MISSING_IDENTIFIER
        elif request.method == CANCEL_METHOD:
            exchange.handler = _CANCELS_NOTHING
        else:
            exchange.handler = Poll(inquiry)


def _minds_origin(exchange: Exchange, inquiry: Asking | None) -> bool:
    """Take a preflight, or the question for a script of a page that may not read it.

    A preflight that names no id may be for the actions that follow.
    """
    assert exchange.origins is not None
    if is_preflight(exchange):
        if inquiry is None and not will_name(exchange):
            exchange.fallback = MAY_ASK
        else:
            exchange.handler = MAY_ASK
        return True
    if not asks_for_script(inquiry) or exchange.origins.let_run(exchange.request.named.get):
        return False
    exchange.handler = _NOT_FOR_THIS_PAGE
    return True
