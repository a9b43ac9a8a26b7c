"""A gateway in front of a backend, as the tests of its behaviours talk to it."""

from __future__ import annotations

import ssl
from collections.abc import Callable
from typing import NamedTuple

from mod_progress.gateway.actions.answers import Respond
from mod_progress.gateway.actions.flow import ActionList, If
from mod_progress.gateway.backends.actions import Proxy
from mod_progress.gateway.backends.http import HttpBackend
from mod_progress.gateway.limits import Limits
from mod_progress.gateway.server.site import Site
from tests.gateway.backend import Backend
from tests.gateway.running import Gateway, eventually
from tests.gateway.standing_clock import StandingClock
from tests.gateway.wire import Client

# Requests to it; the body is left to whoever sends one.
GET = b"GET /x HTTP/1.1\r\nHost: a\r\n\r\n"
OWN = b"GET /own HTTP/1.1\r\nHost: a\r\n\r\n"
SIZED = b"POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n"
CHUNKED = b"POST /x HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"

#: Seconds of a limit: short enough for a test, long enough for a busy machine.
SHORT = 0.25


class Front(NamedTuple):
    """A gateway in front of a backend; /own it answers itself."""

    gateway: Gateway
    backend: Backend

    def connect(self, receive_buffer: int = 0) -> Client:
        return Client(self.gateway.port, receive_buffer, encrypted=self.gateway.tls is not None)

    def await_reset(self) -> None:
        """Wait until the gateway has reset every connection that it sent something on."""
        eventually(lambda: {peer.ending for peer in self.backend.peers if peer.raw} == {"reset"})


def start(
    backend: Backend,
    tls: ssl.SSLContext | None = None,
    clock: StandingClock | None = None,
    **limits: float,
) -> Gateway:
    """Start a gateway that lets the backend answer everything but /own."""
    action = ActionList(
        (
            If(lambda exchange: exchange.request.path == "/own", Respond(200, b"own\n")),
            Proxy(HttpBackend(backend.address)),
        )
    )
    site = Site(action=action, limits=Limits(drain_time=0.1, **limits))  # type: ignore[arg-type]
    return Gateway(site, tls, clock=clock)


#: Starts one with these limits, and a backend that follows a script behind it.
Limited = Callable[..., Front]
