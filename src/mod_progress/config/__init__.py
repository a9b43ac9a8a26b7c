"""The configuration language, which is lighttpd2's: from a file to what the gateway runs.

``docs/configuration.md`` is its reference.
"""

from __future__ import annotations

from os import PathLike
from pathlib import Path

from mod_progress.config.compiler import Compiler, Context
from mod_progress.config.errors import ConfigError, Fault, InvalidConfig
from mod_progress.config.scope import Scope
from mod_progress.gateway.server.site import Site

__all__ = ["ConfigError", "InvalidConfig", "check", "load"]


def load(path: str | PathLike[str]) -> Site:
    """Return what the file says; raises `InvalidConfig` with all errors that can be found."""
    compiler = Compiler()
    try:
        action = compiler.file(Path(path), Context(Scope()))
    except Fault as fault:
        raise InvalidConfig([ConfigError(str(fault), None)]) from None
    except RecursionError:
        message = f"{path}: files and blocks are too deep within each other"
        raise InvalidConfig([ConfigError(message, None)]) from None
    if compiler.errors:
        raise InvalidConfig(compiler.errors)
    return compiler.draft.finish(action)


def check(path: str | PathLike[str]) -> list[ConfigError]:
    """Return all errors that can be found in the file, and in those that it includes."""
    try:
        load(path)
    except InvalidConfig as invalid:
        return list(invalid.errors)
    return []
