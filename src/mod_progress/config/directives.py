"""Tables of directives: what each name does, and to which module it belongs.

As in lighttpd 2 there are three tables. *Setups* write to the draft of the site while the
configuration is read. *Actions* are what each request runs through. *Options* are actions too; in
setup they hold for all requests.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

Run = TypeVar("Run")

#: What `module_load` takes. lighttpd 2 loads code then. Here all code is there, and the directive
#: only says what the file uses.
MODULES = (
    "mod_access",
    "mod_accesslog",
    "mod_auth",
    "mod_fastcgi",
    "mod_openssl",
    "mod_progress",
    "mod_proxy",
    "mod_redirect",
    "mod_rewrite",
    "mod_scgi",
    "mod_uwsgi",
)


@dataclass(frozen=True, slots=True)
class Directive(Generic[Run]):
    """What a name does, and the module that must be loaded before; empty where none must."""

    run: Run
    module: str


class Table(dict[str, Directive[Run]]):
    """Directives by name."""

    def add(self, name: str, module: str = "") -> Callable[[Run], Run]:
        """Enter the decorated function under ``name``."""

        def enter(run: Run) -> Run:
            self[name] = Directive(run, module)
            return run

        return enter
