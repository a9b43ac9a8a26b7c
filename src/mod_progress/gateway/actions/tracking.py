"""The actions `progress.track` and `progress.show`, and their options."""

from __future__ import annotations

from dataclasses import dataclass, replace

from mod_progress.gateway.actions.poll import Poll, send_answer
from mod_progress.gateway.exchange import Exchange, MethodNotAllowed
from mod_progress.options import Options
from mod_progress.show.answer import NO_IDENTIFIER
from mod_progress.show.cancel import CANCEL_METHOD
from mod_progress.show.formats import JSON, Format
from mod_progress.show.question import Question, choose_format, inquire
from mod_progress.show.responder import ASKING
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
    """Enters the request into the table of transfers."""

    def __call__(self, exchange: Exchange) -> None:
        """Track it if its method is tracked and it carries an id."""
        if exchange.transfer.identifier:
            logger.warning("progress.track: %s is tracked already", exchange.request.path)
            return
        request = exchange.request
        transfer = exchange.tracker.track(
            request.method,
            request.query,
            exchange.identifier_field,
            request.body_size,
            exchange.options,
            path=request.path,
            peer=exchange.remote[0],
        )
        if transfer is not None:
            transfer.unacknowledged = exchange.client.unacknowledged
            exchange.transfer = transfer
            transfer.served_by(exchange.client)
            if exchange.options.server_timing:
                exchange.measure()


class MissingIdentifier:
    """Answers a show that names no id, where nothing else answers the request."""

    def handle(self, exchange: Exchange) -> None:
        """Say what is missing."""
        send_answer(exchange, NO_IDENTIFIER)


_MISSING_IDENTIFIER = MissingIdentifier()

#: Answers a request to cancel where `progress.cancel` does not.
_CANCELS_NOTHING = MethodNotAllowed(ASKING)


@dataclass(frozen=True, slots=True)
class Show:
    """Answers how far a transfer is.

    As in lighttpd 2's mod_progress, the actions that follow get a request without a valid id.
    """

    form: Format = JSON

    def __call__(self, exchange: Exchange) -> None:
        """Answer the request, if it names an id."""
        if exchange.handler is not None:
            return
        request = exchange.request
        question = Question(request.method, request.query, request.named.get)
        inquiry = inquire(question, choose_format(question, self.form))
        if inquiry is None:
            exchange.fallback = _MISSING_IDENTIFIER
        elif request.method == CANCEL_METHOD:
            exchange.handler = _CANCELS_NOTHING
        else:
            exchange.handler = Poll(inquiry)
