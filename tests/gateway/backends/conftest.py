from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import pytest

from mod_progress.gateway.backends.fastcgi import FastCgiBackend
from tests.gateway.backend import Backend
from tests.gateway.backends.cgi_fronts import start_front
from tests.gateway.fronts import Front


@pytest.fixture(scope="module")
def shared_front() -> Iterator[Front]:
    backend = Backend()
    kept = partial(FastCgiBackend, keep_alive=True)
    front = start_front(FastCgiBackend, backend, kept, linger_size=2**40)
    yield front
    front.gateway.stop()
    backend.close()


@pytest.fixture
def front(shared_front: Front) -> Front:
    """Return the module's gateway, and its backend as if it were new."""
    shared_front.backend.begin()
    return shared_front
