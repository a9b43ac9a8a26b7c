"""Safe names for files that strangers send; no I/O.

A safe name has no path, nothing invisible, and nothing that a shell, a file manager or Windows
would take for something other than the name of a file.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from posixpath import splitext
from secrets import token_hex
from urllib.parse import unquote_to_bytes

#: The name of a file that was sent without one.
UNNAMED = "upload"

#: Bytes of the longest name (NAME_MAX of Linux's file systems).
_LONGEST = 255

#: Bytes of the longest extension that is kept when a name is cut, the dot included.
_LONGEST_EXTENSION = 32

#: Bytes of the longest plain name. File systems that encrypt names take 143 bytes (eCryptfs).
_LONGEST_PLAIN = 100

#: Categories of characters that are taken out of a name: controls, invisible characters (some turn
#: the reading direction), halves of surrogate pairs, line and paragraph separators.
_REMOVED = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})

#: ZERO WIDTH NON-JOINER and ZERO WIDTH JOINER. Persian and Indic spelling needs them, and so do
#: emoji that are made of several.
_JOINERS = "\u200c\u200d"

#: The last character before the scripts and symbols in which a joiner has a meaning.
_LAST_WITHOUT_JOINERS = "\u02ff"

#: Canonical combining class of the signs that a joiner may follow at the end of a word (RFC 5892,
#: appendix A.1).
_VIRAMA = 9

# A name that begins with a dot is hidden. Windows cannot open one that ends with a dot or a space.
_ENDS = re.compile(r"^[.\s]+|[.\s]+$").sub

#: What may not stand at the end of a name that was cut.
_CUT_END = re.compile(rf"[.\s{_JOINERS}]+$").sub

#: Names that mean something else than a file: options of a command, to which a shell expands `*`;
#: and devices of Windows, whatever their extension
#: (https://learn.microsoft.com/windows/win32/fileio/naming-a-file).
_DEVICE = r"con|prn|aux|nul|clock\$|conin\$|conout\$|(?:com|lpt)[0-9\u00b9\u00b2\u00b3]"
_TRAP = re.compile(rf"-|(?:{_DEVICE}) *(?:[.:]|$)", re.IGNORECASE).match

_NOT_PLAIN = re.compile(r"[^A-Za-z0-9._() -]+").sub

_PARAMETER = re.compile(
    rb';[ \t]*([A-Za-z-]+\*?)[ \t]*=[ \t]*(?:"((?:[^"\\]|\\.)*)"|([^";\s]*))', re.DOTALL
)

# RFC 8187, section 3.2.
_EXTENDED = re.compile(rb"(utf-8|iso-8859-1)'[^']*'(.*)", re.IGNORECASE).fullmatch

_OF_A_FORM = re.compile(rb"[ \t]*form-data[ \t]*(?:;|$)", re.IGNORECASE).match

#: What browsers write in the name of a form's file instead of a quote or a line end, and nothing
#: else, not even instead of the percent sign (HTML standard, "multipart/form-data").
_FORM_ESCAPES = {b"%22": b'"', b"%0D": b"\r", b"%0A": b"\n"}
_FORM_ESCAPE = re.compile(b"|".join(_FORM_ESCAPES)).sub


def parse_filename(disposition: bytes) -> str | None:
    """Return the file name in a Content-Disposition field, None where it has none.

    ``filename*`` goes before ``filename`` (RFC 6266, section 4.3). Only quotes and backslashes are
    unescaped in a quoted name: browsers send UTF-8 as it is, and any other backslash may separate
    the parts of a path.
    """
    found: dict[bytes, bytes] = {}
    for name, quoted, token in _PARAMETER.findall(disposition):
        found.setdefault(name.lower(), re.sub(rb'\\(["\\])', rb"\1", quoted) or token)
    extended = _EXTENDED(found.get(b"filename*", b""))
    if extended is not None:
        return unquote_to_bytes(extended[2]).decode(extended[1].decode().lower(), "replace")
    plain = found.get(b"filename")
    if plain is None:
        return None
    if _OF_A_FORM(disposition):
        plain = _FORM_ESCAPE(lambda match: _FORM_ESCAPES[match[0]], plain)
    return plain.decode("utf-8", "replace")


def safe_name(text: str) -> str:
    """Return a safe name for a file, close to what the client calls it."""
    text = text.replace("\\", "/").rpartition("/")[2]
    name = _fit(*_split(_ENDS("", _visible(text)))) or UNNAMED
    return _fit(*_split(f"_{name}")) if _TRAP(name) else name


def safe_folder(path: str) -> str:
    """Return the folders of a path below a directory as safe names, without the file's own name.

    An empty text stands for the directory itself.
    """
    *folders, _ = path.lstrip("/").split("/")
    return "/".join(safe_name(each) for each in folders if each)


def plain_name(name: str) -> str:
    """Return a name that every file system takes, close to a safe ``name``.

    It has ASCII letters, digits, ``. _ - ( )`` and spaces, and at most 100 bytes.
    """
    decomposed = unicodedata.normalize("NFKD", name)
    base = "".join(each for each in decomposed if not unicodedata.combining(each))
    return safe_name(_fit(*_split(_NOT_PLAIN("_", base)), longest=_LONGEST_PLAIN))


def candidates(name: str) -> Iterator[str]:
    """Yield ``name``, then "name (2).ext", "name (3).ext" and so on, without end.

    After 99 names comes a random addition instead of a number: where many files have the same
    name, it finds a free one soon.
    """
    yield name
    stem, extension = _split(name)
    for number in range(2, 100):
        yield _fit(stem, extension, f" ({number})")
    while True:
        yield _fit(stem, extension, f" ({token_hex(4)})")


def _visible(text: str) -> str:
    """Return the text without control and invisible characters."""
    text = "".join(
        each for each in text if each in _JOINERS or unicodedata.category(each) not in _REMOVED
    )
    return "".join(each for at, each in enumerate(text) if each not in _JOINERS or _joins(text, at))


def _joins(text: str, at: int) -> bool:
    """Whether the joiner at this position has an effect on what is seen."""
    before, after = text[at - 1 : at], text[at + 1 : at + 2]
    if not before:
        return False
    if unicodedata.combining(before) == _VIRAMA:
        return True
    return (
        max(before, after) > _LAST_WITHOUT_JOINERS and _is_joinable(before) and _is_joinable(after)
    )


def _is_joinable(character: str) -> bool:
    """Whether this is a letter, a mark, a number or a symbol."""
    return bool(character) and unicodedata.category(character)[0] in "LMNS"


def _split(name: str) -> tuple[str, str]:
    """Return stem and extension; an extension that is too long belongs to the stem."""
    stem, extension = splitext(name)
    if len(extension.encode()) > _LONGEST_EXTENSION:
        return name, ""
    return stem, extension


def _fit(stem: str, extension: str, addition: str = "", longest: int = _LONGEST) -> str:
    """Put a name together; the stem is cut where the name would be too long."""
    room = longest - len((addition + extension).encode())
    encoded = stem.encode()
    if len(encoded) > room:
        stem = _CUT_END("", encoded[:room].decode("utf-8", "ignore"))
    return stem + addition + extension
