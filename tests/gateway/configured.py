"""A real gateway whose site is written in the configuration language."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from mod_progress.config import load
from mod_progress.gateway.limits import Limits
from mod_progress.stores.memory import MemoryStore
from tests.gateway.running import Gateway

_SETUP = """
setup module_load "mod_access", "mod_accesslog", "mod_auth", "mod_progress", "mod_proxy";
setup module_load "mod_rewrite";
"""


def start(directory: Path, text: str) -> Gateway:
    """Start a worker that serves the site; its modules are loaded."""
    path = directory / "site.conf"
    path.write_text(_SETUP + text)
    site = replace(load(path), limits=Limits(drain_time=0.1))
    return Gateway(site, store=MemoryStore())
