"""What the rooms of one worker share: its loop, its limits, the tracker, the time, its streams."""

from __future__ import annotations

import asyncio
import logging
import time
from email.utils import formatdate
from ipaddress import IPv4Network, IPv6Address, IPv6Network, ip_address
from threading import get_ident
from typing import Protocol

from mod_progress.gateway.limits import Limits
from mod_progress.gateway.streams.stream import Stream
from mod_progress.pacing import rest_after_poll
from mod_progress.show.list_stream import LiveLists
from mod_progress.show.ticker import Ticker
from mod_progress.tracker import Tracker

logger = logging.getLogger("mod_progress.gateway")

#: Seconds between two looks at what clients have acknowledged, while there is anything to see.
_ACKNOWLEDGE = 0.01

Network = IPv4Network | IPv6Network


class Unsettled(Protocol):
    """A stream with responses that the client has not acknowledged yet."""

    def acknowledge(self) -> None:
        """Settle what the client has; call `ServerState.settle_soon` if something is left."""


class ServerState:
    """What the rooms of one worker share."""

    __slots__ = (
        "_settling",
        "_unsettled",
        "date",
        "draining",
        "ending",
        "head_limits",
        "limits",
        "lists",
        "loop",
        "now",
        "streams",
        "thread",
        "ticker",
        "tracker",
        "trusted",
        "tunnelled",
    )

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        tracker: Tracker,
        limits: Limits,
        trusted: tuple[Network, ...] = (),
        tunnelled: frozenset[bytes] = frozenset(),
    ) -> None:
        self.loop = loop
        self.tracker = tracker
        #: Wakes those who watch transfers.
        self.ticker = Ticker(tracker)
        #: The lists of transfers that somebody watches.
        self.lists = LiveLists(self.ticker)
        self.limits = limits
        self.head_limits = limits.head
        #: Front proxies that are believed in what they say of their clients.
        self.trusted = trusted
        #: Protocols that a client may switch to with a backend, in lower case.
        self.tunnelled = tunnelled
        #: The thread that serves.
        self.thread = get_ident()
        #: Whether every connection ends with the response in progress.
        self.draining = False
        #: Whether it does so without a successor, which a reload leaves.
        self.ending = False
        #: The open streams, those of clients and those to backends.
        self.streams: set[Stream] = set()
        self._unsettled: set[Unsettled] = set()
        self._settling = False
        self.tell_time()

    def trusts(self, address: str) -> bool:
        """Whether there is a trusted front proxy at ``address``."""
        if not self.trusted or not address:
            return False
        peer = ip_address(address.partition("%")[0])
        mapped = peer.ipv4_mapped if isinstance(peer, IPv6Address) else None
        return any((mapped or peer) in network for network in self.trusted)

    def tell_time(self) -> None:
        """Set the time, for limits of seconds, and the Date line of the next responses."""
        #: The loop's time at the last tick of the worker's clock.
        self.now = self.loop.time()
        #: The Date line (RFC 9110, section 6.6.1).
        self.date = b"Date: %b\r\n" % formatdate(usegmt=True).encode()

    def expire(self) -> None:
        """Tell each stream whose deadline is over. What one of them raises is logged."""
        now = self.now
        for stream in tuple(self.streams):
            try:
                if stream.read_deadline < now:
                    stream.read_expired()
                if stream.write_deadline < now:
                    stream.write_expired()
            except Exception:
                logger.exception("a deadline could not be enforced: the connection is closed")
                stream.abort()

    def settle_soon(self, stream: Unsettled) -> None:
        """Look again in a moment whether the client has what was handed over."""
        self._unsettled.add(stream)
        if not self._settling:
            self._settling = True
            self.loop.call_later(_ACKNOWLEDGE, self._acknowledge)

    def forget(self, stream: Unsettled) -> None:
        """Look at a stream no longer: it is closed."""
        self._unsettled.discard(stream)

    def _acknowledge(self) -> None:
        waiting, self._unsettled = self._unsettled, set()
        began = time.thread_time()
        for stream in waiting:
            try:
                stream.acknowledge()
            except Exception:
                logger.exception("what a client has cannot be told")
        self._settling = bool(self._unsettled)
        if self._settling:
            spent = time.thread_time() - began
            rest = rest_after_poll(_ACKNOWLEDGE, spent, len(waiting), len(self._unsettled))
            self.loop.call_later(rest, self._acknowledge)
