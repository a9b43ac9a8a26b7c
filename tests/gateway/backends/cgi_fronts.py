"""A gateway in front of a CGI backend of a test's own."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from mod_progress.gateway.actions.flow import ActionList, Choose
from mod_progress.gateway.actions.tracking import Show, Track
from mod_progress.gateway.backends.actions import Backend as Upstream
from mod_progress.gateway.backends.actions import BufferRequestBody, Proxy
from mod_progress.gateway.exchange import Exchange
from mod_progress.gateway.limits import Limits
from mod_progress.gateway.server.site import Site
from tests.gateway.backend import Backend
from tests.gateway.fronts import Front
from tests.gateway.running import Gateway

#: Returns the backend at an address.
Make = Callable[[str], Upstream]


def start_front(make: Make, backend: Backend, kept: Make | None = None, **limits: Any) -> Front:
    """Start a gateway that lets the backend answer, for /kept one that ``kept`` returns.

    /progress is a show, and what is below /held waits until it is whole.
    """
    served = ActionList((Track(), Proxy(make(backend.address))))
    branches: list[Any] = [
        (_at("/progress"), Show()),
        (_at("/held"), ActionList((BufferRequestBody(True), served))),
    ]
    if kept is not None:
        branches.append((_at("/kept"), ActionList((Track(), Proxy(kept(backend.address))))))
    site = Site(action=Choose(tuple(branches), served), limits=Limits(drain_time=0.1, **limits))
    return Front(Gateway(site), backend)


def _at(path: str) -> Callable[[Exchange], bool]:
    return lambda exchange: exchange.request.path.startswith(path)
