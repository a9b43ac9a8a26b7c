"""The configuration language, which is that of lighttpd 2: compiles a file to a site.

``docs/configuration.md`` is its reference.
"""

from __future__ import annotations

from os import PathLike
from pathlib import Path

from mod_progress.config.compiler import Compiler, Context
from mod_progress.config.errors import ConfigError, InvalidConfig, UnplacedError
from mod_progress.config.scope import Scope
from mod_progress.gateway.exchange import Action
from mod_progress.gateway.server.site import Site

__all__ = ["ConfigError", "InvalidConfig", "check", "load"]


def load(path: str | PathLike[str]) -> Site:
    """Return the site that a file describes; raises `InvalidConfig` with all errors found."""
    compiler, action = _compile(path)
    if compiler.errors:
        raise InvalidConfig(compiler.errors)
    return compiler.draft.finish(action)


def check(path: str | PathLike[str]) -> list[ConfigError]:
    """Return all errors that can be found in the file, and in those that it includes.

    Names are resolved, and directories looked for. What may be missing for a while is a warning.
    """
    try:
        compiler, _ = _compile(path)
    except InvalidConfig as invalid:
        return list(invalid.errors)
    compiler.probe()
    return compiler.errors


def _compile(path: str | PathLike[str]) -> tuple[Compiler, Action]:
    """Compile a file; raises `InvalidConfig` where nothing of it can be compiled."""
    compiler = Compiler()
    try:
        return compiler, compiler.file(Path(path), Context(Scope()))
    except UnplacedError as error:
        raise InvalidConfig([ConfigError(str(error), None)]) from None
    except (MemoryError, RecursionError):
        message = f"{path}: the configuration is too large, or too much in it is nested"
        raise InvalidConfig([ConfigError(message, None)]) from None
