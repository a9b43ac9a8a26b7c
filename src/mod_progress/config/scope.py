"""Variables: where they are kept, and from where they are seen."""

from __future__ import annotations

import os
from pathlib import Path

from mod_progress import __version__
from mod_progress.config.errors import UnplacedError, nearest
from mod_progress.config.values import Value

_ENVIRONMENT = "sys.env."


class Failed(Exception):
    """There is no value, because of an error that is known already."""


class Scope:
    """The variables of a file or a block; it sees those of the scopes around it."""

    def __init__(self, around: Scope | None = None) -> None:
        self._around = around
        self._variables: dict[str, Value | type[Failed]] = {}

    def __contains__(self, name: str) -> bool:
        return self._holder(name) is not None

    def __getitem__(self, name: str) -> Value:
        """Return a variable's value; raises `UnplacedError`, or `Failed`."""
        if name.startswith("sys."):
            return _system_variable(name)
        holder = self._holder(name)
        if holder is None:
            raise UnplacedError(f"undefined variable '{name}'", nearest(name, self.names()))
        value = holder._variables[name]
        if value is Failed:
            raise Failed(name)
        return value  # type: ignore[return-value]

    def assign(self, kind: str, name: str, value: Value | type[Failed]) -> None:
        """Set the variable that is seen under the name, or a new one of this scope.

        With the kind ``local`` it is one of this scope, with ``global`` one of the outermost.
        """
        if name.startswith("sys."):
            raise UnplacedError("sys.* variables cannot be changed")
        scope = self if kind == "local" else self._holder(name) or self
        if kind == "global":
            scope = self._outermost()
        scope._variables[name] = value

    def _holder(self, name: str) -> Scope | None:
        scope: Scope | None = self
        while scope is not None and name not in scope._variables:
            scope = scope._around
        return scope

    def _outermost(self) -> Scope:
        return self if self._around is None else self._around._outermost()

    def names(self) -> set[str]:
        """Return the names of all variables that are seen."""
        around = self._around.names() if self._around else {"sys.pid", "sys.cwd", "sys.version"}
        return around | self._variables.keys()


def _system_variable(name: str) -> Value:
    if name == "sys.pid":
        return os.getpid()
    if name == "sys.cwd":
        return _working_directory()
    if name == "sys.version":
        return __version__.encode()
    if name.startswith(_ENVIRONMENT):
        key = name.removeprefix(_ENVIRONMENT)
        value = os.environb.get(key.encode())
        if value is None:
            raise UnplacedError(f"the environment has no '{key}'", nearest(key, os.environ))
        return value
    known = ("sys.pid", "sys.cwd", "sys.version", _ENVIRONMENT)
    raise UnplacedError(f"unknown variable '{name}'", nearest(name, known))


def _working_directory() -> bytes:
    try:
        return os.fsencode(Path.cwd())
    except OSError as error:  # somebody has removed it
        raise UnplacedError(f"there is no working directory: {error.strerror}") from None
