"""What a table of directives is: which name does what, and which module brings it.

There are three tables, as in the original: *setups* write to the draft of the site while the
configuration is read; *actions* are what each request runs through; *options* are actions too, and
in setup hold for all requests.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

Run = TypeVar("Run")

#: What `module_load` takes. The original loads code; here all is there, and it only says what is
#: used.
MODULES = (
    "mod_access",
    "mod_accesslog",
    "mod_openssl",
    "mod_progress",
    "mod_proxy",
    "mod_redirect",
)


@dataclass(frozen=True, slots=True)
class Directive(Generic[Run]):
    """What a name does, and the module that must be loaded first; most need none."""

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
