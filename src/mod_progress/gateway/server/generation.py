"""What the workers of one configuration need, opened before they start."""

from __future__ import annotations

import os
import socket
import ssl
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from mod_progress.gateway.server.listening import bind, tls_context, url_of
from mod_progress.gateway.server.site import MOST_WORKERS, Site


class ReloadError(Exception):
    """A configuration cannot be used; the message says why, in one or more lines."""


@dataclass(frozen=True, slots=True, eq=False)
class Generation:
    """A site with what its workers need: all of them serve the same, also those started later."""

    site: Site
    listeners: tuple[tuple[socket.socket, ssl.SSLContext | None], ...]


class Sockets:
    """The listening sockets of all generations, by the addresses of their listeners."""

    def __init__(self) -> None:
        self._sockets: dict[str, list[socket.socket]] = {}

    def prepare(self, site: Site) -> Generation:
        """Return a generation: listen on new addresses, and share the sockets of the others.

        Raises `ListenError` or `ReloadError`. `close_unused` then closes what was opened.
        """
        if site.workers > MOST_WORKERS:
            raise ReloadError(f"there are at most {MOST_WORKERS} workers, not {site.workers}")
        if site.access_log is not None:
            _check_log(site.access_log.path)
        listeners = []
        for listener in site.listeners:
            context = None if listener.tls is None else tls_context(listener.tls)
            if listener.address not in self._sockets:
                self._sockets[listener.address] = bind(listener.address)
            listeners += [(each, context) for each in self._sockets[listener.address]]
        return Generation(site, tuple(listeners))

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
                listening.close()
            if address.startswith("unix:"):
                Path(address.removeprefix("unix:")).unlink(missing_ok=True)

    def close_inherited(self, own: Generation) -> None:
        """Close, in a worker, the sockets that are not of its generation."""
        kept = {listening for listening, _ in own.listeners}
        for sockets in self._sockets.values():
            for listening in sockets:
                if listening not in kept:
                    listening.close()


def _check_log(path: str) -> None:
    """Check that the workers can write to the access log; raises `ReloadError`."""
    try:
        # Without O_NONBLOCK, opening a pipe would wait for its reader.
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NONBLOCK | os.O_NOCTTY
        os.close(os.open(path, flags, 0o666))
    except (OSError, ValueError) as error:
        why = (isinstance(error, OSError) and error.strerror) or error
        raise ReloadError(f"cannot write to the access log {path}: {why}") from None
