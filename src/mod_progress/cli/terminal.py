"""What reaches the terminal: plain text, in which no control character is left."""

from __future__ import annotations

import io
import logging
import sys

from mod_progress.terminal.printable import escape_controls


def prepare() -> None:
    """Let characters that the terminal's encoding lacks be written out, instead of raising."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def tell(text: str) -> None:
    """Print a result to the standard output."""
    print(escape_controls(text), flush=True)


def warn(text: str) -> None:
    """Print to the standard error what is wrong."""
    print(escape_controls(text), file=sys.stderr, flush=True)


def complain(why: str) -> None:
    """Print to the standard error, under the program's name, why a command ends."""
    warn(f"mod-progress: {why}")


class LogFormatter(logging.Formatter):
    """Formats records of a log that a terminal may show."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the record's message, and its traceback if it has one."""
        return escape_controls(super().format(record))
