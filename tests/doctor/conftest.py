from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.doctor.running import app, gateway


@pytest.fixture(scope="package")
def well(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    """Serve an app with which all is well; return its port."""
    with app("open_to_one", tmp_path_factory.mktemp("well"), workers=2) as port:
        yield port


@pytest.fixture(scope="package")
def gateway_port(well: int, tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    """Put the gateway in front of the app; return its port."""
    with gateway(well, tmp_path_factory.mktemp("gateway")) as port:
        yield port
