from __future__ import annotations

import ssl
from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest

from mod_progress.gateway.streams import relay
from tests.gateway.backend import Backend, Peer, answer_each
from tests.gateway.fronts import Front, Limited, start
from tests.gateway.standing_clock import StandingClock


@pytest.fixture(scope="module")
def shared_front(request: pytest.FixtureRequest, tls: ssl.SSLContext) -> Iterator[Front]:
    """Start a gateway; its parameter is the way that large bodies go."""
    way = getattr(request, "param", "spliced")
    with pytest.MonkeyPatch.context() as patch:
        if way == "copied":
            patch.setattr(relay, "HAVE_SPLICE", False)
        backend = Backend()
        gateway = start(backend, tls if way == "encrypted" else None)
    yield Front(gateway, backend)
    gateway.stop()
    backend.close()


@pytest.fixture
def front(shared_front: Front) -> Front:
    """Return the module's gateway, and its backend as if it were new."""
    shared_front.backend.begin()
    return shared_front


@pytest.fixture
def limited() -> Iterator[Limited]:
    """Start a gateway with limits, and a backend behind it."""
    with ExitStack() as cleanup:

        def begin(
            script: Callable[[Peer], None] = answer_each,
            clock: StandingClock | None = None,
            **limits: float,
        ) -> Front:
            backend = Backend(script)
            cleanup.callback(backend.close)
            gateway = start(backend, None, clock, **limits)
            cleanup.callback(gateway.stop)
            return Front(gateway, backend)

        yield begin
