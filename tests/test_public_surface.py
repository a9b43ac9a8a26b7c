"""What users import. A name that leaves this list breaks their code."""

from __future__ import annotations

from importlib import import_module

import pytest

SURFACE = {
    "mod_progress": ["__version__"],
    "mod_progress.asgi": ["ProgressMiddleware"],
    "mod_progress.finished": ["EndNotifier", "FinishedTransfer"],
    "mod_progress.options": ["KNOWN_METHODS", "OptionError", "Options"],
    "mod_progress.wsgi": ["ProgressMiddleware"],
}


@pytest.mark.parametrize("name", SURFACE)
def test_a_public_module_exports_what_it_promises(name: str) -> None:
    module = import_module(name)
    assert sorted(module.__all__) == SURFACE[name]
    for exported in module.__all__:
        assert hasattr(module, exported)
