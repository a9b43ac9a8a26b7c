from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from mod_progress.gateway.files import part, unnamed


@pytest.fixture(autouse=True)
def forgetful(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a test not know what another has found out about its directories."""
    monkeypatch.setattr(part, "_swept", {})
    monkeypatch.setattr(unnamed, "_unnameable", set())


@pytest.fixture
def descriptors() -> Iterator[None]:
    """Fail where a test leaves a descriptor open."""
    before = set(Path("/proc/self/fd").iterdir())
    yield
    assert set(Path("/proc/self/fd").iterdir()) == before
