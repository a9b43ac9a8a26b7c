"""One tracked request: its counters, its states, and a Snapshot of them."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from enum import Enum, StrEnum
from typing import NamedTuple, Protocol

from mod_progress.details import NO_DETAILS
from mod_progress.fault_log import FaultLog

_faults = FaultLog()


class State(StrEnum):
    """What a show says of a transfer. The texts are those of lighttpd 2's mod_progress."""

    UNKNOWN = "unknown"
    RUNNING = "running"
    DONE = "done"
    ERROR = "error"

    # The hash of Enum is written in Python, and every transfer looks into a table of states.
    __hash__ = str.__hash__


class Direction(StrEnum):
    """Which way a transfer goes: with a request body it is an upload, else a download."""

    UPLOAD = "upload"
    DOWNLOAD = "download"

    __hash__ = str.__hash__


class Event(Enum):
    """How a transfer ends."""

    DELIVERED = "the client has the whole response, and its status is below 400"
    REFUSED = "the client has the whole response, and its status is 400 or more"
    CUT = "the transfer was cut: a connection or its worker died, or somebody cancelled it"

    __hash__ = object.__hash__


#: Which event ends which state. A state that is not in this table is final.
TRANSITIONS = {
    (State.RUNNING, Event.DELIVERED): State.DONE,
    (State.RUNNING, Event.REFUSED): State.ERROR,
    (State.RUNNING, Event.CUT): State.ERROR,
}

#: The first status that is an error (RFC 9110, section 15.5). lighttpd 2's mod_progress takes 3xx
#: for an error too, but a redirect after a form post is a success.
FIRST_ERROR_STATUS = 400


class Snapshot(NamedTuple):
    """A transfer at one moment. Sizes are body bytes; headers and chunk framing never count.

    Times are nanoseconds since 1970, by the clock of the machine that tracks the transfer.
    """

    state: State
    received: int = 0
    sent: int = 0
    request_size: int | None = 0
    response_size: int = 0
    status: int = 0
    started: int = 0
    #: 0 while it runs, and where the process that tracked it died.
    ended: int = 0

    @property
    def direction(self) -> Direction:
        """Which way the transfer goes."""
        has_body = self.received or self.request_size != 0
        return Direction.UPLOAD if has_body else Direction.DOWNLOAD


UNKNOWN = Snapshot(State.UNKNOWN)


class Canceller(Protocol):
    """What serves the request of a transfer, and can stop doing so."""

    def cancel(self, transfer: Transfer) -> None:
        """Close the client's connection. The transfer has ended before. Called from any thread."""


class Transfer:
    """One tracked request, from its head until the client has the whole response.

    A front adds to the plain integers ``received`` and ``written``. That is all that tracking costs
    while bytes move. Whoever wants to know how far the transfer is takes a `snapshot`.
    """

    __slots__ = (
        "_acknowledged",
        "_last",
        "_settled",
        "canceller",
        "details",
        "end_published",
        "ended",
        "expires",
        "identifier",
        "received",
        "request_size",
        "response_size",
        "started",
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
        #: The request, for listings.
        self.details = NO_DETAILS
        self.state = State.RUNNING
        #: When it started and ended: nanoseconds since 1970; it ended at 0 while it runs.
        self.started = time.time_ns()
        self.ended = 0
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
        #: Returns how many of the written bytes the client does not have yet; None where nobody
        #: can know. It is called from any thread.
        self.unacknowledged: Callable[[], int] | None = None
        #: What stops the request when the transfer is cancelled; see `served_by`.
        self.canceller: Canceller | None = None
        #: When the table forgets the transfer, by the table's clock. It is set at the end.
        self.expires = math.inf
        #: Whether the store has the end of this transfer. From then on the store is asked first,
        #: as another process may have taken the id over.
        self.end_published = False
        self._acknowledged = 0
        self._last: Snapshot | None = None
        self._settled = settled

    def request_ended(self) -> None:
        """Note that the whole request body is here: its size is known, even if it came chunked."""
        if self.request_size is None:
            self.request_size = self.received

    def response_started(self, status: int, size: int | None) -> None:
        """Note that the head of the final response went out.

        ``size`` is the Content-Length of the body that follows, None where there is none. Changes
        nothing after the end of the transfer: an app may answer a client that has left.
        """
        if self.state is not State.RUNNING:
            return
        self.status = status
        self.response_size = size

    def delivered(self) -> None:
        """End the transfer: the client has the whole response."""
        self._settle(Event.DELIVERED if self.status < FIRST_ERROR_STATUS else Event.REFUSED)

    def cut(self) -> None:
        """End the transfer: the client will not get the whole response."""
        self._settle(Event.CUT)

    def cancel(self) -> None:
        """End the transfer as an error with status 0, and stop its request. Never raises.

        Nothing happens where the transfer has ended. May be called from any thread.
        """
        if self.state is State.RUNNING:
            self.status = 0
            self._stop(self._settle(Event.CUT))

    def served_by(self, canceller: Canceller) -> None:
        """Note what stops the request when the transfer is cancelled, which may be so already."""
        self.canceller = canceller
        if self.state is not State.RUNNING:
            self.canceller = None
            self._stop(canceller)

    def _stop(self, canceller: Canceller | None) -> None:
        if canceller is not None:
            try:
                canceller.cancel(self)
            except Exception as error:
                _faults.report("the request of a cancelled transfer goes on", error)

    def snapshot(self, sample: bool = True) -> Snapshot:
        """Return the state and the counters of this moment.

        ``sent`` never decreases from one snapshot to the next. Without ``sample`` the system is not
        asked how much the client has: ``sent`` is what the system said last.
        """
        if self._last is not None:
            return self._last
        unacknowledged = self.unacknowledged
        if unacknowledged is not None and sample:
            try:
                lacking = unacknowledged()
            except Exception as error:
                # Whoever looks gets an answer all the same: the count of what was written stands.
                _faults.report("how much the client of a transfer has is not known", error)
                self.unacknowledged = unacknowledged = None
            else:
                # The queue also holds heads and framing, so the difference may be too small for a
                # moment, and negative at the start.
                self._acknowledged = max(self._acknowledged, self.written - lacking)
        # Another thread may move the transfer on meanwhile. So the state is read before the
        # counters: the counters of a transfer that has ended do not change any more.
        state = self.state
        written = self.written
        if unacknowledged is None or state is not State.RUNNING:
            self._acknowledged = written
        size = self.response_size
        members = (
            state,
            self.received,
            self._acknowledged,
            self.request_size,
            written if size is None else size,
            self.status,
            self.started,
            self.ended,
        )
        # By the constructor of NamedTuple it would take 0.1 microseconds more.
        return tuple.__new__(Snapshot, members)

    def unchanged(self, since: Snapshot) -> bool:
        """Whether `snapshot` would return the same as ``since``.

        It takes a fraction of the time of a snapshot. Once some of the response was written, it
        returns False, as only the system knows how much of that the client has.
        """
        return (
            not self.written
            and self.received == since.received
            and self.state is since.state
            and self.status == since.status
            and self.request_size == since.request_size
            and (self.response_size or 0) == since.response_size
        )

    def _settle(self, event: Event) -> Canceller | None:
        """End the transfer, and return what can stop its request."""
        state = TRANSITIONS.get((self.state, event))
        if state is None:
            return None
        # Set first, so that no snapshot has the end without its time.
        self.ended = time.time_ns()
        self.state = state
        # Read only now, since `served_by` may be called by another thread at this moment.
        canceller, self.canceller = self.canceller, None
        self.unacknowledged = None
        # What an app reads or writes after the end is not part of the transfer.
        self._last = self.snapshot()
        if self._settled is not None:
            self._settled(self)
        return canceller
