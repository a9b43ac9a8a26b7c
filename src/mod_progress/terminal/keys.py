"""The keys that a person presses while a command draws on the terminal."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

with suppress(ImportError):  # Windows has neither
    import termios
    import tty

#: Bytes of keys that are read at once.
_MOST = 1024

ESCAPE = "\x1b"
ENTER = "\n"
BACKSPACE = "\x7f"


@contextmanager
def reading_keys(pressed: Callable[[str], None]) -> Iterator[None]:
    """Call ``pressed`` with each key while the block runs, in a running event loop.

    Keys are not shown, and Ctrl-C still interrupts. Where the standard input is no terminal there
    are no keys, nor on Windows.
    """
    if sys.platform == "win32" or not sys.stdin.isatty():
        yield
        return
    descriptor = sys.stdin.fileno()
    before = termios.tcgetattr(descriptor)
    loop = asyncio.get_running_loop()

    def read() -> None:
        data = os.read(descriptor, _MOST)
        if not data:  # the terminal is gone
            loop.remove_reader(descriptor)
        for key in _split(data.decode(errors="replace")):
            pressed(key)

    tty.setcbreak(descriptor)
    loop.add_reader(descriptor, read)
    try:
        yield
    finally:
        loop.remove_reader(descriptor)
        termios.tcsetattr(descriptor, termios.TCSADRAIN, before)


def _split(text: str) -> Iterator[str]:
    """Yield each key. What follows an escape is part of one that stands for nothing here."""
    if text.startswith(ESCAPE):
        yield ESCAPE
    else:
        yield from text.replace("\r", ENTER).replace("\b", BACKSPACE)
