import contextlib
from collections.abc import Iterator

import pytest

from mod_progress.table import LookupTable
from tests.connections import Connection


@pytest.fixture
def connection() -> Iterator[Connection]:
    with contextlib.closing(Connection()) as connection:
        yield connection


@pytest.fixture
def table() -> LookupTable:
    return LookupTable(ttl=30)


@pytest.fixture(autouse=True)
def _short_grace(monkeypatch: pytest.MonkeyPatch) -> None:
    """Connections that end without a message are soon taken as gone."""
    for name in ("GRACE", "LOOK_INTERVAL"):
        monkeypatch.setattr(f"mod_progress.delivery.deliveries.{name}", 0.1)
