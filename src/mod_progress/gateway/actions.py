"""What a configuration compiles to: a tree of actions that run, in order, for each request.

An action changes the exchange. The first that can answer the request puts itself into its
``handler``; as in the original, the actions after it still run.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace

from mod_progress.formats import JSON, Format
from mod_progress.gateway.exchange import TEXT, Exchange
from mod_progress.gateway.message import Refusal
from mod_progress.gateway.poll import SHOW_LINES, Poll
from mod_progress.gateway.proxy import proxy
from mod_progress.gateway.upstream import Upstream
from mod_progress.identifier import CALLBACK_PARAMETER, find_parameter, identify
from mod_progress.options import Options
from mod_progress.tracker import logger

Action = Callable[[Exchange], None]
Condition = Callable[[Exchange], bool]


@dataclass(frozen=True, slots=True)
class Sequence:
    """Runs actions one after the other."""

    actions: tuple[Action, ...]

    def __call__(self, exchange: Exchange) -> None:
        """Run all of them, also when one has found what answers."""
        for action in self.actions:
            action(exchange)


@dataclass(frozen=True, slots=True)
class If:
    """Runs one action or another."""

    condition: Condition
    then: Action
    otherwise: Action | None = None

    def __call__(self, exchange: Exchange) -> None:
        """Ask the condition, once."""
        if self.condition(exchange):
            self.then(exchange)
        elif self.otherwise is not None:
            self.otherwise(exchange)


@dataclass(frozen=True, slots=True)
class Choose:
    """Runs the action of the first condition that holds: an `If` with as many as there are."""

    branches: tuple[tuple[Condition, Action], ...]
    otherwise: Action | None = None

    def __call__(self, exchange: Exchange) -> None:
        """Ask the conditions in order."""
        for condition, then in self.branches:
            if condition(exchange):
                then(exchange)
                return
        if self.otherwise is not None:
            self.otherwise(exchange)


@dataclass(frozen=True, slots=True)
class SetOptions:
    """Sets tracking options for this request; None leaves one as it is."""

    methods: frozenset[str] | None = None
    debug: bool | None = None

    def __call__(self, exchange: Exchange) -> None:
        """Replace the exchange's options."""
        exchange.options = self.over(exchange.options)

    def over(self, options: Options) -> Options:
        """Return the options with what is set here."""
        return replace(
            options,
            methods=options.methods if self.methods is None else self.methods,
            debug=options.debug if self.debug is None else self.debug,
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
        )
        if transfer is not None:
            transfer.unacknowledged = exchange.connection.unacknowledged
            exchange.transfer = transfer


class MissingIdentifier:
    """Answers a show that names no id, where nothing else answers the request."""

    def handle(self, exchange: Exchange) -> None:
        """Say what is missing."""
        body = b'{"error": "X-Progress-ID is missing, or not 1 to 128 visible ASCII characters"}'
        exchange.respond(400, body, SHOW_LINES[JSON.content_type])


_MISSING_IDENTIFIER = MissingIdentifier()


@dataclass(frozen=True, slots=True)
class Show:
    """Answers how far a transfer is.

    As in the original, a request without a valid id is left to the actions that follow.
    """

    form: Format = JSON

    def __call__(self, exchange: Exchange) -> None:
        """Answer the request, if it names an id."""
        if exchange.handler is not None:
            return
        query = exchange.request.query
        identifier = identify(query, exchange.identifier_field)
        if identifier is None:
            exchange.fallback = _MISSING_IDENTIFIER
        else:
            callback = find_parameter(query, CALLBACK_PARAMETER)
            exchange.handler = Poll(identifier, self.form, callback)


class Answering:
    """An action that answers any request that nothing has answered before it."""

    __slots__ = ()

    def __call__(self, exchange: Exchange) -> None:
        """Take the request."""
        if exchange.handler is None:
            exchange.handler = self

    def handle(self, exchange: Exchange) -> Awaitable[None] | None:
        """Answer."""
        raise NotImplementedError


@dataclass(frozen=True, slots=True)
class Proxy(Answering):
    """Lets a backend answer."""

    upstream: Upstream

    def handle(self, exchange: Exchange) -> Awaitable[None] | None:
        """Relay the exchange."""
        return proxy(exchange, self.upstream)


@dataclass(frozen=True, slots=True)
class Respond(Answering):
    """Answers with a status and a few words."""

    status: int
    body: bytes = b""

    def handle(self, exchange: Exchange) -> None:
        """Answer."""
        exchange.respond(self.status, self.body, TEXT)


@dataclass(frozen=True, slots=True)
class Deny(Answering):
    """Answers 403."""

    def handle(self, exchange: Exchange) -> None:
        """Refuse."""
        raise Refusal(403, "access is denied")


@dataclass(frozen=True, slots=True)
class Docroot:
    """Says below which directory the files of the request's path are."""

    directory: str

    def __call__(self, exchange: Exchange) -> None:
        """Map the path to a file; the path has no dot segments any more."""
        exchange.docroot = self.directory
        exchange.physical_path = self.directory.rstrip("/") + exchange.request.path


@dataclass(frozen=True, slots=True)
class BufferRequestBody:
    """Says whether a backend hears of the request only when all of its body is here."""

    flag: bool

    def __call__(self, exchange: Exchange) -> None:
        """Tell whoever passes the request on."""
        exchange.buffer_request_body = self.flag
