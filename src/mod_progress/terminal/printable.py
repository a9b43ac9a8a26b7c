"""Text that a terminal may show: without control characters.

A message can hold what a remote program said, such as the reason of a status line, or the name of a
file. Printed as it came, an escape sequence in it could move the cursor, change the window's title,
or make one text look like another.
"""

from __future__ import annotations

_KEPT = "\n\t"


def escape_controls(text: str) -> str:
    r"""Return the text with each character that a terminal could obey written out, as ``\x1b``.

    These are the characters that are not `str.isprintable`: controls, invisible formats and lone
    surrogates. Line ends and tabs stay.
    """
    if text.isprintable():
        return text
    return "".join(
        each if each.isprintable() or each in _KEPT else each.encode("unicode_escape").decode()
        for each in text
    )


def one_line(text: str) -> str:
    r"""Return the text without control characters and in one line: a line end is ``\n``."""
    return escape_controls(text).replace("\n", "\\n").replace("\t", "\\t")
