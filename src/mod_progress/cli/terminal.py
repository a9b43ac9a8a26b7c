"""What reaches the terminal: plain text, in which no control character is left.

A message can hold what a remote program said, such as the reason of a status line. Printed as it
came, an escape sequence in it could move the cursor, change the window's title, or make one text
look like another.
"""

from __future__ import annotations

import io
import logging
import sys

_KEPT = "\n\t"


def escape_controls(text: str) -> str:
    r"""Return the text with each character that a terminal could obey written out, as ``\x1b``.

    These are the characters that `str.isprintable` names, controls, invisible formats and lone
    surrogates, without line ends and tabs.
    """
    if text.isprintable():
        return text
    return "".join(
        each if each.isprintable() or each in _KEPT else each.encode("unicode_escape").decode()
        for each in text
    )


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
