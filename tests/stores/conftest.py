from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import Future
from pathlib import Path

import pytest

from mod_progress.stores import Store
from mod_progress.transfer import Snapshot


@pytest.fixture(autouse=True)
def _own_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Local stores of a test lie in its own directory."""
    tmp_path.chmod(0o700)
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))


def read(store: Store, identifier: str) -> Snapshot:
    """Look up, waiting for a store that is far away."""
    found = store.lookup(identifier)
    return found.result(timeout=2) if isinstance(found, Future) else found


def eventually(condition: Callable[[], object], seconds: float = 10.0) -> None:
    """Wait until the condition holds."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it never came to hold"
        time.sleep(0.01)
