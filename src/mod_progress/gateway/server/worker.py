"""One process's share of the gateway: its loop, its listeners, its clock, its end."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import socket
import ssl
from collections.abc import Sequence
from functools import partial
from typing import Protocol

import uvloop

from mod_progress.gateway.exchange import Exchange
from mod_progress.gateway.server.access_log import AccessLogWriter
from mod_progress.gateway.server.connection import Connection
from mod_progress.gateway.server.site import Site
from mod_progress.gateway.state import ServerState
from mod_progress.gateway.streams.tls import TlsProtocol
from mod_progress.tracker import Tracker

logger = logging.getLogger("mod_progress.gateway")


class Observer(Protocol):
    """What wants to know of each exchange's end, such as the access log."""

    def ended(self, exchange: Exchange) -> None:
        """An exchange is over: its response is handed over, or cut."""

    def flush(self) -> None:
        """Write what waits; called about once a second."""

    def close(self) -> None:
        """Write what waits: nothing more comes."""


class Worker:
    """Serves a site in this process."""

    def __init__(
        self,
        site: Site,
        tracker: Tracker,
        listeners: Sequence[tuple[socket.socket, ssl.SSLContext | None]],
        loop: asyncio.AbstractEventLoop,
    ) -> None:
        self.loop = loop
        self.state = ServerState(loop, tracker, site.limits, site.trusted, site.tunnelled)
        #: What each request runs through.
        self.action = site.action
        self._limits = site.limits
        self._observers: list[Observer] = (
            [AccessLogWriter(site.access_log)] if site.access_log else []
        )
        self._connections: set[Connection] = set()
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
        for stream in tuple(self.state.streams):
            stream.abort()
        await asyncio.sleep(0)  # what was cut settles, and is noted, in its connection's callbacks
        self.state.tracker.close()
        for observer in self._observers:
            observer.close()

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
        self.state.draining = True
        self._stop_listening()
        for listening, _ in self._sockets:
            listening.close()
        for connection in tuple(self._connections):
            connection.wind_down(idle_too)
        self.loop.call_later(self._limits.drain_time, self._ended.set)
        if not self._connections:
            self._ended.set()

    def opened(self, connection: Connection) -> None:
        """Keep a new connection; stop accepting where there are enough."""
        self._connections.add(connection)
        if len(self._connections) >= self._limits.connections and self._listening:
            logger.warning("%d connections: more have to wait", len(self._connections))
            self._stop_listening()

    def closed(self, connection: Connection) -> None:
        """Forget a connection."""
        self._connections.discard(connection)
        if self.state.draining:
            if not self._connections:
                self._ended.set()
        elif not self._listening and len(self._connections) < self._limits.connections:
            self._listening = True  # from now on: many may close before the task has begun
            self.loop.create_task(self._listen())

    @property
    def observed(self) -> bool:
        """Whether somebody wants to know of each exchange."""
        return bool(self._observers)

    def ended(self, exchange: Exchange) -> None:
        """Tell whoever wants to know of each exchange."""
        for observer in self._observers:
            observer.ended(exchange)

    def _tick(self) -> None:
        """Set the time, and tell the streams whose time is over."""
        self.state.tell_time()
        for observer in self._observers:
            observer.flush()
        self.state.expire()
        self.loop.call_later(self._limits.tick, self._tick)


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
