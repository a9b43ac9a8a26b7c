from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.doctor.running import app


@pytest.fixture(scope="package")
def well(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    """Serve an app with which all is well; return its port."""
    with app("open_to_one", tmp_path_factory.mktemp("well"), workers=2) as port:
        yield port
