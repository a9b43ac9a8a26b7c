"""The thread that notices the ends of deliveries, and what it follows."""

from __future__ import annotations

import threading
import time
from contextlib import suppress

from mod_progress.delivery.addresses import Address, Addresses, find_connection, read_addresses
from mod_progress.delivery.deliveries import GRACE, IDLE, Delivery, FollowedConnection
from mod_progress.delivery.hang_up import hang_ups
from mod_progress.delivery.sock_diag import Deaths
from mod_progress.fault_log import FaultLog
from mod_progress.fork import renew_after_fork
from mod_progress.pacing import rest_after_poll
from mod_progress.transfer import Transfer

#: The shortest pause, in seconds, between two rounds of the thread: while an acknowledgement is
#: missing, and while it only has to notice deaths. A show in this process waits for neither.
SOON = 0.025
INTERVAL = 0.05

#: Seconds until the thread tries again to listen for deaths.
RETRY = 1.0


def follow_transfer(transfer: Transfer, own: Address | None, client: Address | None) -> Delivery:
    """Follow a transfer whose response goes from the address ``own`` to ``client``."""
    addresses = read_addresses(own, client)
    return Delivery(transfer, None) if addresses is None else _watch.enter(transfer, addresses)


class Watch:
    """Follows connections by a thread, which runs while there are any.

    The lock is never held while a transfer settles, so that whoever learns of it need not wait.
    """

    def __init__(self) -> None:
        self.after_fork()
        renew_after_fork(self)

    def after_fork(self) -> None:
        """Follow nothing: the parent follows its own, and its thread is not in this process."""
        self._lock = threading.Lock()
        #: The connections by their addresses as servers report them, and by their keys.
        self._connections: dict[Addresses, FollowedConnection] = {}
        self._by_key: dict[bytes, FollowedConnection] = {}
        self._faults = FaultLog()
        self._deaths: Deaths | None = None
        self._next_listening = 0.0
        #: Until when the end of a connection that is followed may have been missed.
        self._blind_until = 0.0
        self._thread: threading.Thread | None = None

    def enter(self, transfer: Transfer, addresses: Addresses) -> Delivery:
        """Follow a transfer over the connection that has these addresses, if it can be found."""
        with self._lock:
            connection = self._find(addresses)
            if connection is None or (self._thread is None and not self._start()):
                return Delivery(transfer, None)
            self._connections[addresses] = self._by_key[connection.key] = connection
            connection.used = time.monotonic()
            delivery = Delivery(transfer, connection)
            connection.deliveries.add(delivery)
        transfer.unacknowledged = delivery.unacknowledged
        return delivery

    def _find(self, addresses: Addresses) -> FollowedConnection | None:
        connection = self._connections.get(addresses)
        if connection is not None and connection.gone_since is None:
            return connection
        found = find_connection(addresses)
        if found is None:
            return None
        # It is looked at now, since later nobody could tell whether it is gone or was never there.
        connection = FollowedConnection(found, self._faults)
        return None if connection.look() is None else connection

    def _start(self) -> bool:
        """Start the thread. Returns whether the system allows another one."""
        self._listen()
        thread = threading.Thread(target=self._run, name="mod_progress delivery", daemon=True)
        self._thread = thread
        try:
            thread.start()
        except RuntimeError:
            self._end()
        return self._thread is not None

    def _end(self) -> None:
        """Whoever enters the next transfer starts another thread."""
        self._stop_listening()
        self._thread = None

    def _run(self) -> None:
        try:
            self._follow()
        finally:
            with self._lock:
                if self._thread is threading.current_thread():
                    self._end()

    def _follow(self) -> None:
        """Look at everything again and again, until there has been nothing for a while."""
        last_used = time.monotonic()
        while True:
            began = time.thread_time()
            waits = True
            followed = len(self._connections)
            try:
                waits = self._check(time.monotonic())
            except Exception as error:
                self._faults.report("a round of following transfers failed, others follow", error)
            spent = time.thread_time() - began
            shortest = SOON if waits else INTERVAL
            time.sleep(rest_after_poll(shortest, spent, followed, len(self._connections)))
            with self._lock:
                now = time.monotonic()
                if self._connections:
                    last_used = now
                elif now - last_used > GRACE:
                    self._end()
                    return

    def _check(self, now: float) -> bool:
        """Look at every connection. Returns whether a delivery waits for an acknowledgement."""
        hang_ups.carry_out()
        self._read_deaths(now)
        with self._lock:
            connections = list(self._connections.items())
        waits = [connection.check(now, now > self._blind_until) for _, connection in connections]
        with self._lock:
            for addresses, connection in connections:
                # A client that is kept connected often sends the next request soon.
                idle = now - connection.used > GRACE or connection.gone_since is not None
                if idle and not connection.deliveries:
                    self._forget(addresses, connection)
        return any(waits)

    def _read_deaths(self, now: float) -> None:
        """Take note of connections that ended. Without messages, looks at them notice it later."""
        deaths = self._deaths
        if deaths is None:
            self._blind_until = now + IDLE
            if now >= self._next_listening:
                self._listen()
            return
        try:
            for key, progress in deaths.read():
                connection = self._by_key.get(key)
                if connection is not None:
                    connection.died(progress, now)
            if deaths.lost:
                self._blind_until = now + IDLE
        except Exception as error:
            self._faults.report("ends of connections may be noticed late", error)
            self._stop_listening()

    def _listen(self) -> None:
        self._next_listening = time.monotonic() + RETRY
        with suppress(OSError):
            self._deaths = Deaths()

    def _stop_listening(self) -> None:
        deaths, self._deaths = self._deaths, None
        if deaths is not None:
            deaths.close()

    def _forget(self, addresses: Addresses, connection: FollowedConnection) -> None:
        if self._connections.get(addresses) is connection:
            del self._connections[addresses]
        if self._by_key.get(connection.key) is connection:
            del self._by_key[connection.key]


_watch = Watch()
