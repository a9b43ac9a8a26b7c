"""What a person looks at in the list of all transfers, and how keys change that."""

from __future__ import annotations

import sys
from dataclasses import dataclass

from mod_progress.terminal.keys import BACKSPACE, ENTER, ESCAPE

SORTS = ("started", "rate", "size", "state")
STATES = ("", "running", "done", "error")

#: What the keys do, for the last line of the screen.
KEYS = (
    "s sort  r reverse  f state  / path  space pause  q quit"
    if sys.platform != "win32"
    else "Ctrl-C quit"
)


@dataclass(slots=True)
class View:
    """How the list is sorted and filtered."""

    sort: str = SORTS[0]
    reverse: bool = False
    #: The state that is shown; empty for all.
    state: str = ""
    #: What the path begins with.
    path: str = ""
    #: What is being typed as the next path; None while nothing is.
    typed: str | None = None
    paused: bool = False
    #: Whether the person is done.
    ended: bool = False

    def press(self, key: str) -> None:
        """Take a key."""
        if self.typed is not None:
            self._type(self.typed, key)
        elif key == "s":
            self.sort = _next(SORTS, self.sort)
        elif key == "r":
            self.reverse = not self.reverse
        elif key == "f":
            self.state = _next(STATES, self.state)
        elif key == "/":
            self.typed = self.path
        elif key == " ":
            self.paused = not self.paused
        elif key == "q":
            self.ended = True

    def _type(self, typed: str, key: str) -> None:
        if key == ENTER:
            self.path, self.typed = typed, None
        elif key == ESCAPE:
            self.typed = None
        elif key == BACKSPACE:
            self.typed = typed[:-1]
        elif key.isprintable():
            self.typed = typed + key

    def parameters(self, limit: int) -> dict[str, str]:
        """Return what to ask a list for."""
        return {
            "state": self.state,
            "path": self.path,
            "sort": ("-" if self.reverse else "") + self.sort,
            "limit": str(limit),
            "after": "",
        }

    def __str__(self) -> str:
        """Return the view in words."""
        said = f"by {self.sort}{', reversed' if self.reverse else ''}"
        if self.state:
            said += f", state {self.state}"
        if self.path:
            said += f", path {self.path}"
        return f"{said}, paused" if self.paused else said


def _next(values: tuple[str, ...], value: str) -> str:
    return values[(values.index(value) + 1) % len(values)]
