"""One tracked request: its counters, its states, and the frozen picture of it."""

from __future__ import annotations

import math
from collections.abc import Callable
from enum import Enum, StrEnum
from typing import NamedTuple


class State(StrEnum):
    """What a show says of a transfer; the texts are the original's."""

    UNKNOWN = "unknown"
    RUNNING = "running"
    DONE = "done"
    ERROR = "error"

    # Enum's own is written in Python, and every transfer looks into a table of states.
    __hash__ = str.__hash__


class Event(Enum):
    """What ends a transfer."""

    DELIVERED = "the client has the whole response, and its status is below 400"
    REFUSED = "the client has the whole response, and its status is 400 or more"
    CUT = "the transfer was cut: a connection died, or its worker did"

    __hash__ = object.__hash__


#: The one transition table. A state that is not in it is final: nothing moves it.
TRANSITIONS = {
    (State.RUNNING, Event.DELIVERED): State.DONE,
    (State.RUNNING, Event.REFUSED): State.ERROR,
    (State.RUNNING, Event.CUT): State.ERROR,
}

#: The first status that is an error (RFC 9110, section 15.5). The original calls 3xx an error
#: too; a redirect after a form post is a success.
FIRST_ERROR_STATUS = 400


class Snapshot(NamedTuple):
    """A transfer at one moment. Sizes are body bytes; headers and chunk framing never count."""

    state: State
    received: int = 0
    sent: int = 0
    request_size: int | None = 0
    response_size: int = 0
    status: int = 0


UNKNOWN = Snapshot(State.UNKNOWN)


class Transfer:
    """One tracked request, from its head until the client has the whole response.

    A front adds to ``received`` and ``written``, plain integers: that is all that moving bytes
    costs. Whoever looks takes a `snapshot`.
    """

    __slots__ = (
        "_acknowledged",
        "_last",
        "_settled",
        "end_published",
        "expires",
        "identifier",
        "received",
        "request_size",
        "response_size",
        "state",
        "status",
        "unacknowledged",
        "written",
    )

    def __init__(
        self,
        identifier: str,
        request_size: int | None,
        settled: Callable[[Transfer], None] | None = None,
    ) -> None:
        self.identifier = identifier
        self.state = State.RUNNING
        #: Bytes of the request body that reached us.
        self.received = 0
        #: The request's Content-Length; None while nobody knows it.
        self.request_size = request_size
        #: Bytes of the response body handed to the system for the client.
        self.written = 0
        #: The response's Content-Length; None while there is none.
        self.response_size: int | None = None
        #: The response's status; 0 while no response was sent.
        self.status = 0
        #: Tells how many of the written bytes the client does not have yet, where that is known.
        self.unacknowledged: Callable[[], int] | None = None
        #: When the table forgets it, by the table's clock: some time after its end.
        self.expires = math.inf
        #: Whether its end is in the store, where another process may have taken its id over since.
        self.end_published = False
        self._acknowledged = 0
        self._last: Snapshot | None = None
        self._settled = settled

    def request_ended(self) -> None:
        """The whole request body is here, so its size is known even if it came chunked."""
        if self.request_size is None:
            self.request_size = self.received

    def response_started(self, status: int, size: int | None) -> None:
        """The head of the final response went out; ``size`` is that of the body that follows.

        Nothing goes out after the end: an app may answer a client that has left.
        """
        if self.state is not State.RUNNING:
            return
        self.status = status
        self.response_size = size

    def delivered(self) -> None:
        """The client has the whole response."""
        self._settle(Event.DELIVERED if self.status < FIRST_ERROR_STATUS else Event.REFUSED)

    def cut(self) -> None:
        """The transfer ended before the client had the whole response."""
        self._settle(Event.CUT)

    def snapshot(self, sample: bool = True) -> Snapshot:
        """Take the picture of this moment. ``sent`` never steps back from one to the next.

        Without ``sample`` the system is not asked: ``sent`` is what it said last.

        Another thread may move the transfer on meanwhile: the counters are read after the state,
        as those of a transfer that is over are final.
        """
        if self._last is not None:
            return self._last
        unacknowledged = self.unacknowledged
        if unacknowledged is not None and sample:
            # The queue also holds what is not body (a head, framing), so the difference may
            # be short of the truth for an instant, and negative at the start.
            self._acknowledged = max(self._acknowledged, self.written - unacknowledged())
        state = self.state
        written = self.written
        if unacknowledged is None or state is not State.RUNNING:
            self._acknowledged = written
        size = self.response_size
        return Snapshot(
            state,
            self.received,
            self._acknowledged,
            self.request_size,
            written if size is None else size,
            self.status,
        )

    def unchanged(self, since: Snapshot) -> bool:
        """Whether a picture would look like that one: asked in a fraction of the time of taking it.

        False where that takes a question to the system: once some of the response was written.
        """
        return (
            not self.written
            and self.received == since.received
            and self.state is since.state
            and self.status == since.status
            and self.request_size == since.request_size
            and (self.response_size or 0) == since.response_size
        )

    def _settle(self, event: Event) -> None:
        state = TRANSITIONS.get((self.state, event))
        if state is None:
            return
        self.state = state
        self.unacknowledged = None
        # What an app still reads or writes after the end is not part of it.
        self._last = self.snapshot()
        if self._settled is not None:
            self._settled(self)
