"""One process's share of the gateway: its loop, its listeners, its clock, its end."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import socket
import ssl
import time
from collections.abc import Sequence
from email.utils import formatdate
from functools import partial
from itertools import chain
from threading import get_ident

import uvloop

from mod_progress.gateway.backends.pool import UpstreamConnection
from mod_progress.gateway.server.access_log import AccessLogWriter
from mod_progress.gateway.server.connection import Connection
from mod_progress.gateway.server.site import Site
from mod_progress.gateway.streams.tls import TlsProtocol
from mod_progress.tracker import Tracker

logger = logging.getLogger("mod_progress.gateway")

#: Seconds between two looks at what clients have acknowledged, while there is anything to see; but
#: at least so many times as long as the last one looked in vain, which then takes 5% of a core at
#: the most, however many clients read slowly.
_ACKNOWLEDGE = 0.01
_REST = 20


class Worker:
    """Serves a site in this process."""

    def __init__(
        self,
        site: Site,
        tracker: Tracker,
        listeners: Sequence[tuple[socket.socket, ssl.SSLContext | None]],
        loop: asyncio.AbstractEventLoop,
    ) -> None:
        self.site = site
        self.tracker = tracker
        self.loop = loop
        #: The thread that serves.
        self.thread = get_ident()
        self.head_limits = site.limits.head
        self._between_ticks = site.limits.tick
        #: The Date line of the responses of this second (RFC 9110, section 6.6.1).
        self.date = b""
        #: The loop's time at the last tick: near enough for limits of seconds.
        self.now = loop.time()
        #: Whether every connection ends with the response in progress.
        self.draining = False
        self.connections: set[Connection] = set()
        self.upstreams: set[UpstreamConnection] = set()
        #: Connections with responses that are handed over and not yet acknowledged.
        self.unsettled: set[Connection] = set()
        self._settling = False
        self.access_log = AccessLogWriter(site.access_log) if site.access_log else None
        self._sockets = listeners
        self._servers: list[asyncio.Server] = []
        self._listening = False
        self._ended = asyncio.Event()

    async def run(self, serving: int, lifeline: int) -> None:
        """Serve until SIGTERM or SIGQUIT, then finish what is in flight, within the limit.

        SIGQUIT is for a worker that has a successor: an idle connection may make one more request,
        as its client cannot know that it should not, and would lose it.

        A byte is written to the descriptor ``serving`` when connections are accepted;
        ``lifeline`` ends when the supervisor is gone, however it went.
        """
        self.loop.add_signal_handler(signal.SIGTERM, self.drain)
        self.loop.add_signal_handler(signal.SIGQUIT, self.drain, False)
        self.loop.add_reader(lifeline, self._orphaned, lifeline)
        self._tick()
        await self._listen()
        os.write(serving, b"1")
        os.close(serving)
        await self._ended.wait()
        for stream in tuple(chain(self.connections, self.upstreams)):
            stream.abort()
        await asyncio.sleep(0)  # what was cut settles, and is noted, in its connection's callbacks
        self.tracker.close()
        if self.access_log is not None:
            self.access_log.close()

    def _orphaned(self, lifeline: int) -> None:
        self.loop.remove_reader(lifeline)
        self.drain()

    async def _listen(self) -> None:
        self._listening = True
        for listening, tls in self._sockets:
            make = partial(self._client, tls)
            # A duplicate: the server closes it, and we may have to listen again.
            server = await self.loop.create_server(make, sock=listening.dup())
            self._servers.append(server)
        if not self._listening:  # there were enough connections meanwhile
            self._stop_listening()

    def _client(self, tls: ssl.SSLContext | None) -> asyncio.BaseProtocol:
        if tls is None:
            return Connection(self)
        return TlsProtocol(Connection(self, "https"), tls)

    def _stop_listening(self) -> None:
        self._listening = False
        for server in self._servers:
            server.close()
        self._servers.clear()

    def drain(self, idle_too: bool = True) -> None:
        """Accept nothing more; end when the last connection has."""
        self.draining = True
        self._stop_listening()
        for listening, _ in self._sockets:
            listening.close()
        for connection in tuple(self.connections):
            connection.wind_down(idle_too)
        self.loop.call_later(self.site.limits.drain_time, self._ended.set)
        if not self.connections:
            self._ended.set()

    def opened(self, connection: Connection) -> None:
        """Keep a new connection; stop accepting where there are enough."""
        self.connections.add(connection)
        if len(self.connections) >= self.site.limits.connections and self._listening:
            logger.warning("%d connections: more have to wait", len(self.connections))
            self._stop_listening()

    def closed(self, connection: Connection) -> None:
        """Forget a connection."""
        self.connections.discard(connection)
        self.unsettled.discard(connection)
        if self.draining:
            if not self.connections:
                self._ended.set()
        elif not self._listening and len(self.connections) < self.site.limits.connections:
            self._listening = True  # from now on: many may close before the task has begun
            self.loop.create_task(self._listen())

    def settle_soon(self, connection: Connection) -> None:
        """Look again in a moment whether the client has what was handed over."""
        self.unsettled.add(connection)
        if not self._settling:
            self._settling = True
            self.loop.call_later(_ACKNOWLEDGE, self._acknowledge)

    def _acknowledge(self) -> None:
        waiting, self.unsettled = self.unsettled, set()
        began = time.monotonic()
        for connection in waiting:
            connection.acknowledge()
        self._settling = bool(self.unsettled)
        if self._settling:
            in_vain = (time.monotonic() - began) * len(self.unsettled) / max(1, len(waiting))
            self.loop.call_later(max(_ACKNOWLEDGE, _REST * in_vain), self._acknowledge)

    def _tick(self) -> None:
        """Tell the time, and those whose time is over."""
        self.date = b"Date: %b\r\n" % formatdate(usegmt=True).encode()
        now = self.now = self.loop.time()
        if self.access_log is not None:
            self.access_log.flush()
        for stream in tuple(chain(self.connections, self.upstreams)):
            if stream.read_deadline < now:
                stream.read_expired()
            if stream.write_deadline < now:
                stream.write_expired()
        self.loop.call_later(self._between_ticks, self._tick)


def serve(
    site: Site,
    tracker: Tracker,
    listeners: Sequence[tuple[socket.socket, ssl.SSLContext | None]],
    serving: int,
    lifeline: int,
) -> None:
    """Run a worker in this process until it is told to end; see `Worker.run`."""

    async def main() -> None:
        await Worker(site, tracker, listeners, asyncio.get_running_loop()).run(serving, lifeline)

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(main())
