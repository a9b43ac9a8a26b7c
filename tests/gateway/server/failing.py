"""Runs the real command with functions that fail while a file says so.

``python failing.py FILE NAME… -- COMMAND ARGUMENT…`` replaces each function NAME, such as
``os.fork``. While FILE has the line ``NAME raises``, a call raises RuntimeError. While it has
``NAME hangs``, a call never returns. Else the call is passed on.
"""

from __future__ import annotations

import runpy
import signal
import sys
from pathlib import Path
from pkgutil import resolve_name
from typing import Any


def replace(name: str, faults: Path) -> None:
    home_name, _, attribute = name.rpartition(".")
    home = resolve_name(home_name)
    original = getattr(home, attribute)

    def call(*arguments: Any, **named: Any) -> Any:
        lines = faults.read_text().splitlines()
        if f"{name} raises" in lines:
            raise RuntimeError(f"{name} was told to fail")
        if f"{name} hangs" in lines:
            while True:
                signal.pause()
        return original(*arguments, **named)

    setattr(home, attribute, call)


def main() -> None:
    end = sys.argv.index("--")
    faults, *names = sys.argv[1:end]
    for name in names:
        replace(name, Path(faults))
    sys.argv = sys.argv[end + 1 :]
    runpy.run_path(sys.argv[0], run_name="__main__")


main()
