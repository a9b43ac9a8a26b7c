"""A response on its way to the client, and the connection that carries it."""

from __future__ import annotations

import random
import sys
import time

from mod_progress.delivery.hang_up import hang_ups
from mod_progress.delivery.sock_diag import Connection, Progress
from mod_progress.fault_log import FaultLog
from mod_progress.transfer import Transfer

#: The size in bytes up to which a response's beginning is not worth a question to the system. The
#: question takes 4 microseconds and, where threads compete, a switch to another thread. It is also
#: the most that asyncio's transports hold back, so a response of that size is wholly in the
#: system's queue when the queue is looked at.
SMALL = 1 << 16

#: The limit of a response whose size nobody knows.
UNLIMITED = sys.maxsize

#: Seconds between two looks at a connection while no acknowledgement is missing: its end may have
#: to be noticed without a message (see `FollowedConnection.gone_since`).
LOOK_INTERVAL = 1.0

#: Seconds from the end of a connection until its transfers end, if the end alone does not tell how
#: they ended: in that time the app or the server may still say that the response is whole.
GRACE = 1.0

#: Seconds for which the queue of a connection stays empty until a response that the server has is
#: taken as delivered although the connection carried less than was counted. That is so where
#: another middleware compresses what was counted here. It is also the longest wait for the message
#: that says how far a connection got, which comes when the server closes its descriptor.
IDLE = 10.0

#: Seconds without a change after which a client that has closed its side is taken as gone: its own
#: system forgets a closed connection after that time (tcp_fin_timeout, tcp(7)).
HALF_CLOSED_TIMEOUT = 60.0

#: Seconds without a byte acknowledged after which a client that was sent everything is given up.
#: It is longer than a phone has no network on a train.
PATIENCE = 300.0

_DROPPED = "a transfer is no longer followed on its way to the client, others are"


class Delivery:
    """The way of one response to its client. It settles the transfer.

    No method raises or waits, and all may be called from any thread.
    """

    __slots__ = (
        "_base",
        "_began",
        "_connection",
        "_ended",
        "_goal",
        "_passed",
        "_reached",
        "_since",
        "_transfer",
        "cancelled",
        "exclusive",
        "limit",
    )

    def __init__(self, transfer: Transfer, connection: FollowedConnection | None) -> None:
        """Follow ``transfer``; without a ``connection``, the count handed to the server stands."""
        self._transfer = transfer
        self._connection = connection
        #: Bytes that the connection had carried or queued before this response; it may be less.
        self._base = 0 if connection is None else connection.carried
        self._began = False
        #: The size of the response's body, `UNLIMITED` while nobody knows it. What the app sends
        #: beyond it is no part of the response (RFC 9112, section 6.3): servers drop it, and
        #: clients do not read it. So fronts count no more than that as written.
        self.limit = UNLIMITED
        #: Whether the last part was passed to the server, and whether the server took it.
        self._passed = self._ended = False
        #: When that was.
        self._since = 0.0
        #: Whether the transfer was cancelled: the app is to stop.
        self.cancelled = False
        #: Whether the connection carries no other request at the same time, as it may in HTTP/2.
        self.exclusive = True
        #: Bytes that the connection will have carried when the client has this response.
        self._goal: int | None = None
        #: Bytes of the body that the client is known to have.
        self._reached = 0

    def begins(self, size: int | None) -> None:
        """The response is about to go out; ``size`` is its body's, None while nobody knows it."""
        self._began = True
        self.limit = UNLIMITED if size is None else size
        connection = self._connection
        if connection is not None and self.limit > SMALL:
            connection.look()
            self._base = connection.carried

    def passes_end(self) -> None:
        """The last part is about to go to the server, which may take its time over it."""
        self._since = time.monotonic()
        self._passed = True

    def handed_over(self) -> None:
        """The server has the whole response."""
        if 0 < self._transfer.written < self.limit < UNLIMITED:
            self.cut()  # its end is missing; where all is missing, X-Sendfile may send a file
            return
        if not self._passed:
            self.passes_end()
        self._ended = True
        if self._connection is None:
            self._transfer.delivered()

    def cut(self) -> None:
        """The client will never have the whole response."""
        self._leave()
        self._transfer.cut()

    def cancel(self, transfer: Transfer) -> None:
        """The transfer was cancelled: its connection is to be ended, if it has it to itself."""
        self.cancelled = True
        connection = self._connection
        self._leave()
        if connection is not None and self.exclusive:
            hang_ups.ask(connection.key)

    def has_carried(self) -> bool | None:
        """Whether anything of the response went to the client; None where nobody knows."""
        connection = self._connection
        if connection is None:
            return None
        progress = connection.look()
        if progress is None and connection.gone_since is None:
            return None
        # Of a connection that is gone, what was seen of it last.
        return connection.carried > self._base

    def unacknowledged(self) -> int:
        """Count the bytes of the body that were handed over and that the client lacks.

        If the client turns out to have everything, that ends the transfer.
        """
        connection = self._connection
        if connection is not None:
            progress = connection.look()
            if progress is not None:
                self._note(progress)
        return self._transfer.written - self._reached

    def waits(self) -> bool:
        """Whether nothing but the client's acknowledgement is missing."""
        return self._passed

    def is_whole(self) -> bool:
        """Whether the app has passed the whole response, as far as that can be known."""
        return self._passed or (self._began and self._transfer.written >= self.limit)

    def follow(self, connection: FollowedConnection, progress: Progress, now: float) -> None:
        """Take note how far the connection is at ``now``, and end what nothing else will end."""
        self._note(progress)
        if self._connection is None:
            return
        quiet = now - max(self._since, connection.moved)
        if self._ended:
            if quiet > PATIENCE:
                self.cut()
            elif quiet > IDLE and not progress.queued:
                self._complete()
        elif self.is_whole():
            # The app goes on, or the server does not return, though the client has everything.
            carried = progress.acknowledged - self._base
            if quiet > GRACE and carried >= self._transfer.written and not progress.queued:
                self._complete()
        elif progress.half_closed and quiet > HALF_CLOSED_TIMEOUT:
            self.cut()

    def follow_unseen(self, now: float) -> None:
        """End what nothing else will end, where the system cannot tell of the connection."""
        if self._ended and now - self._since > IDLE:
            self._complete()

    def follow_gone(self, progress: Progress | None, gone_for: float, listening: bool) -> None:
        """The connection has been gone for some seconds.

        ``progress`` is how far it got, None while no message has said that. ``listening`` is
        whether a message can be expected, when the server closes the connection's descriptor.
        """
        if progress is not None and (not self._began or self._lacks(progress)):
            self.cut()
        elif progress is not None and self._ended:
            self._complete()
        elif gone_for <= GRACE:
            return
        elif not self.is_whole():
            self.cut()
        elif progress is not None or self._reached >= self._transfer.written:
            self._complete()
        elif self._ended and not listening:
            self._complete()  # nobody will ever know
        elif gone_for > IDLE:
            self.cut()

    def unfollow(self) -> None:
        """Nothing can be learned of the connection: the count handed to the server stands."""
        self._leave()
        self._transfer.unacknowledged = None
        if self._ended:
            self._transfer.delivered()

    def _lacks(self, progress: Progress) -> bool:
        """Whether the client lacks something that was sent, on a connection that is gone."""
        if self._goal is not None:
            return progress.acknowledged < self._goal
        # One byte in the queue is the end of the connection itself, which nobody acknowledged.
        return progress.acknowledged - self._base < self._transfer.written or progress.queued > 1

    def _note(self, progress: Progress) -> None:
        """Take note how far the connection is.

        It carries heads and framing too, and in HTTP/2 also other responses. So what it carried is
        more than the body, and what is in its queue counts as lacking. When everything was handed
        over, the client has all of it as soon as it has what the queue holds at that moment.
        """
        written = self._transfer.written
        carried = progress.acknowledged - self._base
        if not self._ended or carried < written:
            self._reached = max(self._reached, min(carried, written - progress.queued))
            return
        if self._goal is None:
            self._goal = progress.acknowledged + progress.queued
        lacking = self._goal - progress.acknowledged
        if lacking > 0:
            self._reached = max(self._reached, written - lacking)
        else:
            self._complete()

    def _complete(self) -> None:
        self._reached = self._transfer.written
        self._leave()
        self._transfer.delivered()

    def _leave(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.deliveries.discard(self)


class FollowedConnection:
    """A connection, the deliveries that go over it, and how far it got."""

    __slots__ = (
        "_connection",
        "_death",
        "_faults",
        "_last",
        "_next_look",
        "carried",
        "deliveries",
        "gone_since",
        "moved",
        "used",
    )

    def __init__(self, connection: Connection, faults: FaultLog) -> None:
        self.deliveries: set[Delivery] = set()
        #: When there was a delivery last.
        self.used = 0.0
        #: Bytes that it had carried, or had queued, when it was looked at last.
        self.carried = 0
        #: When its progress changed last.
        self.moved = 0.0
        #: Since when it is known to be gone. The system says so by a message, but that may be lost,
        #: and while a server keeps the descriptor of a connection that was reset, none is sent.
        self.gone_since: float | None = None
        self._connection = connection
        self._faults = faults
        self._last: Progress | None = None
        #: How far it got, where a message has announced its end.
        self._death: Progress | None = None
        self._next_look = 0.0

    @property
    def key(self) -> bytes:
        """Its addresses as the system writes them, as `sock_diag.Deaths` names it."""
        return self._connection.key

    def look(self) -> Progress | None:
        """Return how far it is; None where it is gone, or the system cannot tell."""
        try:
            progress = self._connection.progress()
        except OSError:
            return None
        except Exception as error:
            self._faults.report(_DROPPED, error)
            for delivery in tuple(self.deliveries):
                delivery.unfollow()
            return None
        if progress is None:
            if self.gone_since is None:
                self.gone_since = time.monotonic()
            return None
        self.carried = progress.acknowledged + progress.queued
        if progress != self._last:
            self._last = progress
            self.moved = time.monotonic()
        return progress

    def died(self, progress: Progress, now: float) -> None:
        """Take note that it ended at ``now``; ``progress`` is how far it got."""
        self._death = progress
        self.carried = max(self.carried, progress.acknowledged + progress.queued)
        if self.gone_since is None:
            self.gone_since = now

    def check(self, now: float, listening: bool) -> bool:
        """Tell the deliveries how far it is, where that may matter.

        ``listening`` is whether the system's messages about connections that end are heard. Returns
        whether a delivery waits for an acknowledgement.
        """
        deliveries = tuple(self.deliveries)
        if not deliveries:
            return False
        self.used = now
        waits = any(delivery.waits() for delivery in deliveries)
        progress = self._death
        if progress is None and (waits or now >= self._next_look):
            progress = self.look()
            # At random, since connections that are looked at together would stay together.
            self._next_look = now + LOOK_INTERVAL * random.uniform(0.5, 1.5)
        elif progress is None and self.gone_since is None:
            return False
        for delivery in deliveries:
            try:
                self._update(delivery, progress, now, listening)
            except Exception as error:
                self._faults.report(_DROPPED, error)
                delivery.unfollow()
        return waits

    def _update(
        self, delivery: Delivery, progress: Progress | None, now: float, listening: bool
    ) -> None:
        if self.gone_since is not None:
            # Not ``progress``: another thread may have found it gone since that was read.
            delivery.follow_gone(self._death, now - self.gone_since, listening)
        elif progress is None:
            delivery.follow_unseen(now)
        else:
            delivery.follow(self, progress, now)
