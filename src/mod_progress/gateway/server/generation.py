"""What the workers of one configuration need, opened before they start."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from mod_progress.gateway.address import Address
from mod_progress.gateway.server.access_log import prepare_log
from mod_progress.gateway.server.identity import Identity, IdentityError, find_identity
from mod_progress.gateway.server.listening import Passed, bind, tls_context, url_of
from mod_progress.gateway.server.site import MOST_WORKERS, Site


class ReloadError(Exception):
    """A configuration cannot be used; the message says why, in one or more lines."""


@dataclass(frozen=True, slots=True, eq=False)
class Generation:
    """A site with what its workers need: all of them serve the same, also those started later."""

    site: Site
    #: Whom the workers run as; None: the supervisor's user.
    identity: Identity | None
    listeners: tuple[tuple[socket.socket, ssl.SSLContext | None], ...]


class Sockets:
    """The listening sockets of all generations, by the addresses of their listeners."""

    def __init__(self, passed: Passed | None = None) -> None:
        """Begin with the sockets that systemd has passed on."""
        self._sockets: dict[str, list[socket.socket]] = {}
        # They stay open, as no others can be had at a reload.
        self._passed = passed or {}

    def prepare(self, site: Site) -> Generation:
        """Return a generation: listen on new addresses, and share the sockets of the others.

        Raises `ListenError` or `ReloadError`. `close_unused` then closes what was opened.
        """
        if site.workers > MOST_WORKERS:
            raise ReloadError(f"there are at most {MOST_WORKERS} workers, not {site.workers}")
        identity = _identity(site)
        prepare_logs(site, identity)
        listeners = []
        for listener in site.listeners:
            context = None if listener.tls is None else tls_context(listener.tls)
            if listener.address not in self._sockets:
                self._sockets[listener.address] = bind(listener.address, self._passed)
            listeners += [(each, context) for each in self._sockets[listener.address]]
        return Generation(site, identity, tuple(listeners))

    def urls(self, site: Site) -> list[str]:
        """Return the URLs of a site that was prepared."""
        return [
            url_of(listener, listening)
            for listener in site.listeners
            for listening in self._sockets[listener.address]
        ]

    def close_unused(self, used: Iterable[Generation]) -> None:
        """Stop listening where none of the generations does: who connects there is refused."""
        wanted = {listener.address for each in used for listener in each.site.listeners}
        for address in self._sockets.keys() - wanted:
            for listening in self._sockets.pop(address):
                if not self._is_passed(listening):
                    listening.close()
            if address.startswith("unix:"):
                Path(address.removeprefix("unix:")).unlink(missing_ok=True)

    def close_inherited(self, own: Generation) -> None:
        """Close, in a worker, the sockets that are not of its generation."""
        kept = {listening for listening, _ in own.listeners}
        for sockets in (*self._sockets.values(), *self._passed.values()):
            for listening in sockets:
                if listening not in kept:
                    listening.close()

    def unused(self) -> list[str]:
        """Return the names of sockets that systemd has passed on and that no listener takes."""
        return [name for name in self._passed if str(Address(passed=name)) not in self._sockets]

    def _is_passed(self, listening: socket.socket) -> bool:
        return any(listening in sockets for sockets in self._passed.values())


def prepare_logs(site: Site, identity: Identity | None) -> None:
    """See that the workers can write to the logs of a site; raises `ReloadError`."""
    if site.access_log is None:
        return
    path = site.access_log.path
    try:
        prepare_log(path, identity)
    except (OSError, ValueError) as error:
        why = (isinstance(error, OSError) and error.strerror) or error
        raise ReloadError(f"cannot write to the access log {path}: {why}") from None


def _identity(site: Site) -> Identity | None:
    try:
        return find_identity(site.user, site.group)
    except IdentityError as error:
        raise ReloadError(str(error)) from None
