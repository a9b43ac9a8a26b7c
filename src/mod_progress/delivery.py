"""How much of a response its client has, and when it has it all.

A front hands bytes to its server, the server to the system, the system to the client: what was
handed over runs megabytes ahead of what arrived. The system counts what the client acknowledged,
connection by connection. So a front has its transfers followed by the two addresses of the
connection, as its server tells them, and the request never waits: whoever looks asks the system
at that moment, and one thread a process, which lives while anything is followed, notices the ends.

Where the connection cannot be found, the count handed to the server stands: another system than
Linux, a socket of the file system, addresses that a proxy's header has replaced.
"""

from __future__ import annotations

import logging
import socket
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from functools import lru_cache
from ipaddress import ip_address
from typing import Any

from mod_progress.fork import renew_after_fork
from mod_progress.sock_diag import Connection, Deaths, Progress
from mod_progress.transfer import Transfer

logger = logging.getLogger("mod_progress")

#: A host and a port, as a server tells them: the host may be a path, the port text or None.
Address = Sequence[Any]

#: Nothing is sent: the port stands there since a route is asked for by connecting to one.
_DISCARD_PORT = 9

#: The hosts and ports of both sides.
Addresses = tuple[str, Any, str, Any]

#: Seconds between two rounds of the thread while nothing but an acknowledgement is missing
#: somewhere, and while it only has to notice deaths. A show in this process waits for neither.
SOON = 0.025
INTERVAL = 0.05

#: The thread rests so many times as long as it looked in vain: that takes 5% of a core at the most,
#: however many transfers it follows.
REST = 20

#: Bytes up to which a response's beginning is not worth a question (4 microseconds and, where
#: threads compete, a switch to another): it is the most that asyncio's transports hold back, so
#: all of it is in the system's queue when the queue is looked at.
SMALL = 1 << 16

#: Seconds for which word of a connection's death may be on its way, and for which the thread
#: stays when nothing is followed any more.
GRACE = 1.0

#: Seconds without a byte acknowledged after which a client that was sent everything is given up:
#: longer than a phone is without a network on a train.
PATIENCE = 300.0


class Delivery:
    """The way of one response to its client. It settles the transfer.

    Raises nothing, waits for nothing, and may be used from any thread.
    """

    __slots__ = ("_base", "_ended", "_followed", "_goal", "_moved", "_reached", "_transfer")

    def __init__(self, transfer: Transfer, followed: _Followed | None) -> None:
        self._transfer = transfer
        self._followed = followed
        #: Bytes that the connection had carried, or was about to, before this response: at least.
        self._base = 0 if followed is None else followed.carried
        self._ended = False
        #: Bytes that the connection will have carried when the client has this response.
        self._goal: int | None = None
        #: Bytes of the body that the client is known to have.
        self._reached = 0
        self._moved = 0.0

    def begins(self, size: int | None) -> None:
        """The response is about to go out; ``size`` is its body's, None while nobody knows it."""
        followed = self._followed
        if followed is not None and (size is None or size > SMALL):
            followed.look()
            self._base = followed.carried

    def handed_over(self) -> None:
        """The server has the whole response."""
        self._moved = time.monotonic()
        self._ended = True
        if self._followed is None:
            self._transfer.delivered()

    def cut(self) -> None:
        """The client will never have the whole response."""
        self._transfer.cut()
        self._leave()

    def unacknowledged(self) -> int:
        """Count the bytes of the body that were handed over and that the client lacks.

        A look that finds that the client has it all settles the transfer.
        """
        followed = self._followed
        if followed is not None:
            progress = followed.look()
            if progress is not None:
                self._note(progress)
            elif not followed.known:
                return 0
        return self._transfer.written - self._reached

    def waits(self) -> bool:
        """Whether nothing but the client's acknowledgement is missing."""
        return self._ended

    def follow(self, progress: Progress | None, known: bool, now: float) -> None:
        """Take what the system says of the connection at ``now``; None where it has none.

        ``known`` is whether it ever had one between these addresses.
        """
        reached = self._reached
        if progress is not None:
            self._note(progress)
        if self._reached > reached:
            self._moved = now
        elif progress is None and (not known or now - self._moved > GRACE):
            self._complete()
        elif now - self._moved > PATIENCE:
            self.cut()

    def died(self, progress: Progress) -> None:
        """The connection is no more; ``progress`` is how far it got."""
        lost = progress.acknowledged - self._base < self._transfer.written
        if lost or not self._transfer.status:
            self.cut()
        elif self._ended:
            self._complete()

    def _note(self, progress: Progress) -> None:
        """Take in how far the connection is.

        It carries heads and framing too, and in HTTP/2 the responses of others. So what it
        carried runs ahead of the body, and what is still in its queue counts as lacking. When all
        was handed over, the client has it all as soon as it has what the queue holds then.
        """
        acknowledged, queued = progress
        carried = acknowledged - self._base
        written = self._transfer.written
        if not self._ended or carried < written:
            self._reached = max(self._reached, min(carried, written - queued))
            return
        if self._goal is None:
            self._goal = acknowledged + queued
        lacking = self._goal - acknowledged
        if lacking > 0:
            self._reached = max(self._reached, written - lacking)
        else:
            self._complete()

    def _complete(self) -> None:
        self._reached = self._transfer.written
        self._transfer.delivered()
        self._leave()

    def _leave(self) -> None:
        followed, self._followed = self._followed, None
        if followed is not None:
            followed.deliveries.discard(self)


def follow_transfer(transfer: Transfer, own: Address | None, client: Address | None) -> Delivery:
    """Follow a transfer whose response goes from the address ``own`` to ``client``."""
    if not (own and client and own[1] and client[1]):
        return Delivery(transfer, None)
    return _watch.enter(transfer, (own[0], own[1], client[0], client[1]))


class _Followed:
    """A connection, the deliveries that go over it, and how far it got."""

    __slots__ = ("carried", "connection", "death", "deliveries", "known")

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self.deliveries: set[Delivery] = set()
        #: Whether the system has ever told of it.
        self.known = False
        #: Bytes that it had carried, or had queued, when it was looked at last.
        self.carried = 0
        #: How far it got, when it is known to have ended.
        self.death: Progress | None = None

    def look(self) -> Progress | None:
        progress = self.connection.progress()
        if progress is not None:
            self.known = True
            self.carried = progress.acknowledged + progress.queued
        return progress

    def check(self, now: float) -> tuple[int, int]:
        """Tell the deliveries that have to know how far the connection is.

        Returns how many had to, and for how many it is not far enough.
        """
        if self.death is not None:
            for delivery in tuple(self.deliveries):
                delivery.died(self.death)
            return 0, 0
        waiting = [delivery for delivery in tuple(self.deliveries) if delivery.waits()]
        if waiting or not self.known:
            progress = self.look()
            for delivery in waiting:
                delivery.follow(progress, self.known, now)
        return len(waiting), len(self.deliveries.intersection(waiting))


class _Watch:
    """The thread that notices the ends, and what it follows.

    The lock is never held while a transfer settles: whoever that tells must not wait for it.
    """

    def __init__(self) -> None:
        self.after_fork()
        renew_after_fork(self)

    def after_fork(self) -> None:
        """What the parent follows is the parent's, and its thread did not come along."""
        self._lock = threading.Lock()
        #: By the addresses as they were told, and by `Connection.key`.
        self._told: dict[Addresses, _Followed] = {}
        self._followed: dict[bytes, _Followed] = {}
        self._deaths: Deaths | None = None
        self._thread: threading.Thread | None = None

    def enter(self, transfer: Transfer, addresses: Addresses) -> Delivery:
        with self._lock:
            followed = self._told.get(addresses)
            if followed is None or followed.death is not None:
                followed = self._find(addresses)
                if followed is None:
                    return Delivery(transfer, None)
            if self._thread is None and not self._start():
                return Delivery(transfer, None)
            delivery = Delivery(transfer, followed)
            followed.deliveries.add(delivery)
        transfer.unacknowledged = delivery.unacknowledged
        return delivery

    def _find(self, addresses: Addresses) -> _Followed | None:
        own, own_port, client, client_port = addresses
        try:
            connection = Connection(
                (_own_host(own, client), int(own_port)), (client, int(client_port))
            )
        except ValueError:
            return None
        followed = _Followed(connection)
        self._told[addresses] = self._followed[connection.key] = followed
        return followed

    def _start(self) -> bool:
        """Start the thread; tell whether the system allows another one."""
        self._deaths = None
        with suppress(OSError):
            self._deaths = Deaths()
        thread = threading.Thread(target=self._run, name="mod_progress delivery", daemon=True)
        try:
            thread.start()
        except RuntimeError:
            self._close_deaths()
            return False
        self._thread = thread
        return True

    def _run(self) -> None:
        last_used = time.monotonic()
        while True:
            began = time.monotonic()
            waited = vain = 0
            try:
                waited, vain = self._check(began)
            except Exception:
                logger.exception("following deliveries failed, it goes on")
            ended = time.monotonic()
            looked = (ended - began) * vain / waited if waited else ended - began
            time.sleep(max(SOON if waited else INTERVAL, REST * looked))
            with self._lock:
                if self._told:
                    last_used = ended
                elif ended - last_used > GRACE:
                    self._close_deaths()
                    self._thread = None
                    return

    def _close_deaths(self) -> None:
        if self._deaths is not None:
            self._deaths.close()

    def _check(self, now: float) -> tuple[int, int]:
        """Look at every connection; return the sums of what `_Followed.check` returns."""
        if self._deaths is not None:
            for key, progress in self._deaths.read():
                followed = self._followed.get(key)
                if followed is not None:
                    followed.known = True
                    followed.death = progress
        with self._lock:
            everything = list(self._told.items())
        found = [followed.check(now) for _, followed in everything]
        with self._lock:
            for addresses, followed in everything:
                if not followed.deliveries:
                    self._forget(addresses, followed)
        return sum(waited for waited, _ in found), sum(vain for _, vain in found)

    def _forget(self, addresses: Addresses, followed: _Followed) -> None:
        if self._told.get(addresses) is followed:
            del self._told[addresses]
        if self._followed.get(followed.connection.key) is followed:
            del self._followed[followed.connection.key]


@lru_cache
def _own_host(told: str, client: str) -> str:
    """Return the connection's own host. Some servers tell what they listen at: any, or a name.

    Then it is the one from which the system would send to the client.
    """
    with suppress(ValueError):
        if not ip_address(told).is_unspecified:
            return told
    with suppress(ValueError, OSError):
        family = socket.AF_INET6 if ip_address(client).version == 6 else socket.AF_INET
        with socket.socket(family, socket.SOCK_DGRAM) as route:
            route.connect((client, _DISCARD_PORT))
            return str(route.getsockname()[0])
    return told


_watch = _Watch()
