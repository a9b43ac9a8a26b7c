"""One process's share of the gateway: its loop, its listeners, its clock, its end."""

from __future__ import annotations

import asyncio
import heapq
import logging
import os
import signal
import socket
import ssl
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from operator import attrgetter
from typing import Protocol

import uvloop

from mod_progress.fault_log import FaultLog
from mod_progress.gateway.exchange import Exchange
from mod_progress.gateway.http.heads import Refusal
from mod_progress.gateway.server.access_log import AccessLogWriter
from mod_progress.gateway.server.address_limit import AddressLimit
from mod_progress.gateway.server.connection import Connection
from mod_progress.gateway.server.descriptors import most_connections
from mod_progress.gateway.server.listening import BACKLOG
from mod_progress.gateway.server.site import Site
from mod_progress.gateway.state import ServerState
from mod_progress.gateway.streams.tls import TlsProtocol
from mod_progress.tracker import Tracker

logger = logging.getLogger("mod_progress.gateway")

#: Of the connections at the limit, one in so many is given up at once if it is idle, the oldest
#: ones first. To look for them costs a walk over all, so each look makes room for several.
_GIVE_UP = 64

#: The answer to an address that has too many connections. One of them may end at any time.
_TOO_MANY = Refusal(503, "too many connections from your address", b"Retry-After: 5\r\n")

#: Seconds between two lines of the log about addresses that have too many connections.
_TELL_AGAIN = 60.0

#: Seconds for which a connection does not count as idle: its next request may be on its way.
_NOT_IDLE = 1.0


class Observer(Protocol):
    """What wants to know of each exchange's end, such as the access log."""

    def ended(self, exchange: Exchange) -> None:
        """An exchange is over: its response is handed over, or cut."""

    def flush(self) -> None:
        """Write what waits; called about once a second."""

    def reopen(self) -> None:
        """Open the files anew: somebody has moved them away."""

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
        self._most_connections = most_connections(site.limits.connections)
        most = site.limits.per_address
        self._addresses = AddressLimit(most) if most else None
        # When the log may say again that an address has too many connections, in the loop's time.
        self._tell_again = 0.0
        self._observers: list[Observer] = []
        if site.access_log is not None:
            self._observers.append(AccessLogWriter(site.access_log))
        self._connections: set[Connection] = set()
        self._sockets = listeners
        self._servers: list[asyncio.Server] = []
        self._listening = False
        # Where a byte at each tick goes, once connections are accepted.
        self._serving = -1
        self._ended = asyncio.Event()
        self._faults = FaultLog()

    async def run(self, serving: int, lifeline: int) -> None:
        """Serve until SIGTERM or SIGQUIT, then finish what is in flight, within the limit.

        SIGQUIT is for a worker that has a successor: an idle connection may make one more request,
        as its client cannot know that it should not, and would lose it. At SIGUSR1 the logs are
        opened anew.

        A byte is written to the descriptor ``serving`` when connections are accepted, and then at
        each tick: who reads them knows that this worker is not hung.
        ``lifeline`` ends when the supervisor is gone, however it went.
        """
        self.loop.add_signal_handler(signal.SIGTERM, self.drain)
        self.loop.add_signal_handler(signal.SIGQUIT, self.drain, False)
        self.loop.add_signal_handler(signal.SIGUSR1, self.reopen_logs)
        self.reopen_logs()  # a signal that came before was ignored
        self.loop.add_reader(lifeline, self._orphaned, lifeline)
        self._tick()
        await self._listen()
        os.set_blocking(serving, False)
        self._serving = serving
        self._give_sign()
        await self._ended.wait()
        for stream in tuple(self.state.streams):
            self._try("a connection could not be cut", stream.abort)
        await asyncio.sleep(0)  # what was cut settles in the callbacks of its connection
        self._try("the tracker could not be closed", self.state.tracker.close)
        for observer in self._observers:
            self._try("a log could not be closed", observer.close)

    def _try(self, failure: str, step: Callable[..., object], *arguments: object) -> None:
        """Do a step of what must go on, whatever the step raises."""
        try:
            step(*arguments)
        except Exception as error:
            self._faults.report(failure, error)

    def _orphaned(self, lifeline: int) -> None:
        self.loop.remove_reader(lifeline)
        self.drain()

    async def _listen(self) -> None:
        self._listening = True
        for listening, tls in self._sockets:
            make = partial(self._client, tls)
            # A duplicate: the server closes it, and we may have to listen again.
            server = await self.loop.create_server(make, sock=listening.dup(), backlog=BACKLOG)
            self._servers.append(server)
        if not self._listening:  # there were enough connections meanwhile
            self._stop_listening()

    async def _listen_again(self) -> None:
        """Listen after a pause; try again later where there are no descriptors for it."""
        try:
            await self._listen()
        except OSError as error:
            self._stop_listening()
            self._faults.report("it cannot listen again yet", error)
            self.loop.call_later(self._limits.tick, self._make_room)

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
        self.state.ending = idle_too
        self.loop.call_later(self._limits.drain_time, self._ended.set)
        self._stop_listening()
        for listening, _ in self._sockets:
            listening.close()
        self._try("those who watch transfers could not be ended", self.state.ticker.end)
        for connection in tuple(self._connections):
            self._try("a connection could not be wound down", connection.wind_down, idle_too)
        if not self._connections:
            self._ended.set()

    def reopen_logs(self) -> None:
        """Open the logs anew: somebody has moved their files away."""
        for observer in self._observers:
            self._try("a log could not be opened anew", observer.reopen)

    def opened(self, connection: Connection) -> None:
        """Keep a new connection. Where there are enough, idle ones are given up for it.

        Where none is idle, new ones have to wait in the listen queue.
        """
        self._connections.add(connection)
        self._limit_address(connection)
        if len(self._connections) < self._most_connections or not self._listening:
            return
        if not self._give_up_idle():
            logger.warning("%d connections: more have to wait", len(self._connections))
            self._stop_listening()

    def _limit_address(self, connection: Connection) -> None:
        """Turn a new connection away where its address has too many.

        Who is told why stays for a moment. So no more are told than may be served.
        """
        if self._addresses is None or connection.trusted:
            return
        above = self._addresses.enter(connection.peer[0])
        if above:
            if self.state.now >= self._tell_again:
                self._tell_again = self.state.now + _TELL_AGAIN
                logger.warning("limits.per_address is reached by %s", connection.peer[0])
            connection.turn_away(_TOO_MANY if above <= self._addresses.most else None)

    def _give_up_idle(self) -> bool:
        """Close the connections that are idle for the longest time; tell if there are any."""
        now, longest = self.loop.time(), self._limits.idle_time
        idle = [
            each
            for each in self._connections
            if each.idle and each.read_deadline < now + longest - _NOT_IDLE and not each.gone
        ]
        most = 1 + self._most_connections // _GIVE_UP
        for each in heapq.nsmallest(most, idle, key=attrgetter("read_deadline")):
            each.give_up()
        return bool(idle)

    def closed(self, connection: Connection) -> None:
        """Forget a connection."""
        self._connections.discard(connection)
        if self._addresses is not None and not connection.trusted:
            self._addresses.leave(connection.peer[0])
        if self.state.draining:
            if not self._connections:
                self._ended.set()
        else:
            self._make_room()

    def _make_room(self) -> None:
        """Listen again, once there are fewer connections than the limit."""
        room = len(self._connections) < self._most_connections
        if room and not self._listening and not self.state.draining:
            self._listening = True  # from now on: many may close before the task has begun
            self.loop.create_task(self._listen_again())

    @property
    def observed(self) -> bool:
        """Whether somebody wants to know of each exchange."""
        return bool(self._observers)

    def ended(self, exchange: Exchange) -> None:
        """Tell whoever wants to know of each exchange."""
        for observer in self._observers:
            self._try("a request could not be logged", observer.ended, exchange)

    def _tick(self) -> None:
        """Set the time, and tell the streams whose time is over.

        Whatever fails in here, the next tick comes: without it no deadline would ever be enforced.
        """
        self.loop.call_later(self._limits.tick, self._tick)
        self.state.tell_time()
        self._give_sign()
        for observer in self._observers:
            self._try("a log could not be written", observer.flush)
        self.state.expire()
        if not self._listening and not self.state.draining:
            self._try("idle connections could not be closed", self._give_up_idle)

    def _give_sign(self) -> None:
        if self._serving >= 0:
            with suppress(OSError):  # nobody reads it, or nobody does any more
                os.write(self._serving, b"1")


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
