"""Names for files that strangers send: never a path, never a trap; no I/O."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from posixpath import splitext
from secrets import token_hex
from urllib.parse import unquote_to_bytes

#: The name of a file that has none.
UNNAMED = "upload"

#: Bytes of a name (NAME_MAX of Linux's file systems), and of those the most that an extension has.
_LONGEST = 255
_LONGEST_EXTENSION = 32

#: Kinds of characters that a name does not have: controls, invisible ones that turn the reading
#: direction, halves of surrogate pairs, line and paragraph separators.
_DROPPED = {"Cc", "Cf", "Cs", "Zl", "Zp"}

# A name that begins with a dot is hidden; one that ends with a dot or space, Windows cannot open.
_ENDS = re.compile(r"^[.\s]+|[.\s]+$").sub

#: Devices on Windows, whatever their extension: a file of that name could not be copied there.
_RESERVED = re.compile(r"(?:con|prn|aux|nul|com[0-9]|lpt[0-9])(?:\.|$)", re.IGNORECASE).match

_PARAMETER = re.compile(
    rb';[ \t]*([A-Za-z-]+\*?)[ \t]*=[ \t]*(?:"((?:[^"\\]|\\.)*)"|([^";\s]*))', re.DOTALL
)
# RFC 8187, section 3.2.
_EXTENDED = re.compile(rb"(utf-8|iso-8859-1)'[^']*'(.*)", re.IGNORECASE).fullmatch


def parse_filename(disposition: bytes) -> str | None:
    """Return the file name in a Content-Disposition, None where it has none.

    ``filename*`` goes before ``filename`` (RFC 6266, section 4.3). Browsers send UTF-8 as it is
    and escape nothing but quotes; only those and backslashes are unescaped here, as a backslash
    may as well part a path.
    """
    found: dict[bytes, bytes] = {}
    for name, quoted, token in _PARAMETER.findall(disposition):
        found.setdefault(name.lower(), re.sub(rb'\\(["\\])', rb"\1", quoted) or token)
    extended = _EXTENDED(found.get(b"filename*", b""))
    if extended is not None:
        return unquote_to_bytes(extended[2]).decode(extended[1].decode().lower(), "replace")
    plain = found.get(b"filename")
    return None if plain is None else plain.decode("utf-8", "replace")


def safe_name(text: str) -> str:
    """Return a name for a file, close to what the client calls it."""
    text = text.replace("\\", "/").rpartition("/")[2]
    text = "".join(each for each in text if unicodedata.category(each) not in _DROPPED)
    text = _ENDS("", text)
    if _RESERVED(text):
        text = f"_{text}"
    return _fit(*_split(text), "") or UNNAMED


def candidates(name: str) -> Iterator[str]:
    """Yield ``name``, then "name (2).ext", "name (3).ext" and so on.

    There is no end, but of counting: where many have the same name, chance finds a free one soon.
    """
    yield name
    for number in range(2, 100):
        yield _fit(*_split(name), f" ({number})")
    while True:
        yield _fit(*_split(name), f" ({token_hex(4)})")


def _split(name: str) -> tuple[str, str]:
    stem, extension = splitext(name)
    if len(extension.encode()) > _LONGEST_EXTENSION:
        return name, ""
    return stem, extension


def _fit(stem: str, extension: str, addition: str) -> str:
    """Put a name together, its stem cut where it would be too long."""
    room = _LONGEST - len((addition + extension).encode())
    return stem.encode()[:room].decode("utf-8", "ignore") + addition + extension
