from __future__ import annotations

import ssl
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from mod_progress.gateway.exchange import Action
from mod_progress.gateway.limits import Limits
from mod_progress.gateway.server.site import Site
from mod_progress.stores.contract import Store
from tests.gateway.running import Gateway
from tests.gateway.standing_clock import StandingClock


@pytest.fixture
def gateway() -> Iterator[Callable[..., Gateway]]:
    """Start a worker that runs an action: ``gateway(action, limits=…, tls=…)``."""
    started: list[Gateway] = []

    def start(
        action: Action,
        *,
        tls: ssl.SSLContext | None = None,
        store: Store | None = None,
        clock: StandingClock | None = None,
        **site: Any,
    ) -> Gateway:
        site.setdefault("limits", Limits(drain_time=1.0))
        started.append(Gateway(Site(action=action, **site), tls, store, clock))
        return started[-1]

    yield start
    for each in started:
        each.stop()


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Return a self-signed certificate for localhost and its key, as files."""
    directory = tmp_path_factory.mktemp("tls")
    paths = directory / "certificate.pem", directory / "key.pem"
    command = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2".split()
    names = ["-subj", "/CN=localhost", "-out", str(paths[0]), "-keyout", str(paths[1])]
    subprocess.run(command + names, check=True, capture_output=True)
    return paths


@pytest.fixture(scope="session")
def tls(certificate: tuple[Path, Path]) -> ssl.SSLContext:
    """Return a server's context."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*certificate)
    return context


@pytest.fixture(params=["plain", "tls"])
def either(request: pytest.FixtureRequest, tls: ssl.SSLContext) -> ssl.SSLContext | None:
    """Let a test run in plain and over TLS."""
    return tls if request.param == "tls" else None
