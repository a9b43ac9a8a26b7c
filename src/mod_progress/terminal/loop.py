"""Runs a command in an event loop, so that every end of it leaves the terminal clean."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import Coroutine
from contextlib import suppress
from typing import Any, Protocol

from rich.console import Console

from mod_progress.terminal.bars import Bars
from mod_progress.terminal.display import Display, Lines

#: What a shell says of a program that a signal ended, more than the number of the signal.
_BY_SIGNAL = 128

#: What a shell says of a program that SIGPIPE (13) ended. Windows has no such signal.
_BROKEN_PIPE = _BY_SIGNAL + 13

#: Seconds from one picture to the next.
_REFRESH = 0.1


def open_display() -> Display:
    """Return bars where the standard output is a terminal that can draw them, else lines."""
    console = Console()
    if sys.stdout.isatty() and not console.is_dumb_terminal:
        return Bars(console)
    return Lines()


class Refreshed(Protocol):
    """What is drawn again and again while a command works: a `Display`, say."""

    def refresh(self) -> None:
        """Draw what has changed. It is called several times a second."""

    def close(self) -> None:
        """Leave the output as other programs expect it."""


def run_display(work: Coroutine[Any, Any, int], display: Refreshed) -> int:
    """Run the work while the display is refreshed; return the exit code.

    Raises KeyboardInterrupt at Ctrl-C, when all is cleaned up.
    """
    try:
        try:
            return asyncio.run(_work(work, display))
        finally:
            display.close()
    except BrokenPipeError:
        # Whoever read the output has left, as `head` does: the end is silent. The interpreter would
        # complain when it closes the output.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return _BROKEN_PIPE


async def _work(work: Coroutine[Any, Any, int], display: Refreshed) -> int:
    task = asyncio.create_task(work)
    terminated = False

    def terminate() -> None:
        nonlocal terminated
        terminated = True
        task.cancel()

    with suppress(NotImplementedError):  # of Windows' event loop
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, terminate)
    try:
        while not task.done():
            display.refresh()
            await asyncio.wait({task}, timeout=_REFRESH)
        return task.result()
    except asyncio.CancelledError:
        if not terminated:
            raise
        return _BY_SIGNAL + signal.SIGTERM
    finally:
        task.cancel()
        await asyncio.wait({task})
