from collections.abc import Callable
from pathlib import Path

import pytest

from mod_progress.config import load
from mod_progress.gateway.server.site import Site


@pytest.fixture
def load_text(tmp_path: Path) -> Callable[[str], Site]:
    """Load a configuration from its text."""

    def load_text(text: str) -> Site:
        path = tmp_path / "site.conf"
        path.write_bytes(text.encode("utf-8", "surrogateescape"))
        return load(path)

    return load_text
