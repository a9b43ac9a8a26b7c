"""What systemd tells a service, and hears from it: sockets that it passes on, and the state.

All of it goes by variables of the environment (sd_listen_fds(3), sd_notify(3)). They are taken out
of it, so that no other process takes them for its own.
"""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Iterable, MutableMapping

from mod_progress.fault_log import FaultLog
from mod_progress.gateway.server.listening import ListenError

#: The first descriptor that is passed on; the others follow it.
_FIRST = 3

#: The name of sockets whose names systemd does not tell.
_UNNAMED = "unknown"

#: Seconds after which a worker that gives no sign counts as hung. Its clock ticks every second.
_SILENCE = 3.0

#: Seconds to wait where systemd is slow to read what it is told.
_SEND_TIME = 5.0


def take_sockets(environment: MutableMapping[str, str]) -> dict[str, list[socket.socket]]:
    """Return the sockets that systemd has passed to this process, by their names.

    The names are those of FileDescriptorName in the socket units. Raises `ListenError`.
    """
    pid = environment.pop("LISTEN_PID", "")
    count = environment.pop("LISTEN_FDS", "")
    names = environment.pop("LISTEN_FDNAMES", "")
    if pid != str(os.getpid()):
        return {}
    if not count.isdecimal():
        raise ListenError(f"systemd has passed {count!r} sockets (LISTEN_FDS)")
    each_name = names.split(":") if names else []
    each_name += [_UNNAMED] * (int(count) - len(each_name))
    passed: dict[str, list[socket.socket]] = {}
    for descriptor, name in enumerate(each_name[: int(count)], _FIRST):
        passed.setdefault(name, []).append(_take(descriptor, name))
    return passed


def _take(descriptor: int, name: str) -> socket.socket:
    try:
        os.set_inheritable(descriptor, False)
        taken = socket.socket(fileno=descriptor)
        listens = taken.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN)
    except OSError as error:
        why = error.strerror
        raise ListenError(f"systemd has passed '{name}', which is no socket: {why}") from None
    if not listens:
        raise ListenError(f"systemd has passed '{name}', which does not listen: Accept must be no")
    return taken


class Notifier:
    """Tells systemd about the state of the service, where systemd wants to know."""

    def __init__(self, environment: MutableMapping[str, str]) -> None:
        address = environment.pop("NOTIFY_SOCKET", "")
        #: An abstract address begins with a zero byte, which no variable can have (unix(7)).
        self._address = f"\0{address[1:]}" if address.startswith("@") else address
        pid = environment.pop("WATCHDOG_PID", str(os.getpid()))
        microseconds = environment.pop("WATCHDOG_USEC", "")
        #: Seconds between two signs of life: half of what systemd waits for; 0: it wants none.
        self.interval = 0.0
        if self._address and microseconds.isdecimal() and pid == str(os.getpid()):
            self.interval = int(microseconds) / 2_000_000
        #: When the next one is due, in monotonic time.
        self.next_sign = 0.0
        self._faults = FaultLog()

    @property
    def is_heard(self) -> bool:
        """Whether systemd wants to know anything."""
        return bool(self._address)

    def give_sign(self, heard: Iterable[float]) -> None:
        """Give a sign of life if one is due, and if some worker is not hung.

        ``heard`` is when each worker has given its last sign, in monotonic time.
        """
        now = time.monotonic()
        if not self.interval or now < self.next_sign:
            return
        self.next_sign = now + self.interval
        silence = max(_SILENCE, self.interval)
        if any(now - moment <= silence for moment in heard):
            self.send("WATCHDOG=1")

    def send(self, *assignments: str) -> None:
        """Tell systemd; what cannot be told is logged once."""
        if not self._address:
            return
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
                sender.settimeout(_SEND_TIME)
                sender.connect(self._address)
                sender.send("\n".join(assignments).encode("utf-8", "replace"))
        except OSError as error:
            self._faults.report("systemd cannot be told about the state of the service", error)
