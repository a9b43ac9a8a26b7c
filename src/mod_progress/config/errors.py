"""Where something stands in a file, and what is wrong with it there."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from difflib import get_close_matches

#: Characters of a line that are shown: those around the error, where the line is longer.
_WIDEST = 200

#: Characters of the longest message; a message may quote a value of any length.
_LONGEST_MESSAGE = 1000

#: Characters of the longest name that the known names are compared with: the comparison takes time
#: by the square of the length.
_LONGEST_NAME = 100

#: The user and the password in a URL, as in ``redis://user:password@host``.
_PASSWORD = re.compile(r"(?<=://)[^\s\"']*(?=@)")


@dataclass(frozen=True, slots=True, eq=False)
class Source:
    """A configuration file. Bytes that are not UTF-8 stand in the text as lone surrogates."""

    path: str
    text: str


@dataclass(frozen=True, slots=True)
class Place:
    """The part of a source from one offset to another, in characters."""

    source: Source
    start: int
    end: int

    @property
    def line(self) -> int:
        """The number of the line where it starts, from 1."""
        return self.source.text.count("\n", 0, self.start) + 1

    @property
    def column(self) -> int:
        """The number of its first character in that line, from 1."""
        return self.start - self._line_start + 1

    def __str__(self) -> str:
        return f"{printable(self.source.path)}:{self.line}:{self.column}"

    @property
    def text(self) -> str:
        """What stands there."""
        return self.source.text[self.start : self.end]

    def picture(self) -> str:
        """Return the line, and below it a caret for each character of the place in that line.

        Of a long line it is the part around the place. Passwords in URLs are replaced by stars.
        """
        text = self.source.text
        end = text.find("\n", self.start)
        line = text[self._line_start : end if end >= 0 else len(text)].rstrip("\r")
        before = self.start - self._line_start
        line = _without_passwords(line)
        if len(line) > _WIDEST:
            cut = max(0, before - _WIDEST // 2)
            line, before = line[cut : cut + _WIDEST], before - cut
        # A tab is as wide below as it is above.
        indent = "".join("\t" if character == "\t" else " " for character in line[:before])
        carets = max(1, min(self.end - self.start, len(line) - before))
        return f"{printable(line)}\n{indent}{'^' * carets}"

    @property
    def _line_start(self) -> int:
        return self.source.text.rfind("\n", 0, self.start) + 1


class ConfigError(Exception):
    """One thing that is wrong with a configuration; its text is what a person reads."""

    def __init__(
        self, message: str, place: Place | None, hint: str = "", *, is_warning: bool = False
    ) -> None:
        self.message = message
        #: Where it is; None where the file itself cannot be read.
        self.place = place
        #: The nearest name, where there is one that is near.
        self.hint = hint
        #: Whether the gateway starts all the same.
        self.is_warning = is_warning
        super().__init__(message)

    def __str__(self) -> str:
        suggestion = f"; did you mean {self.hint!r}?" if self.hint else ""
        message = _without_passwords(printable(self.message))
        if len(message) > _LONGEST_MESSAGE:
            message = message[:_LONGEST_MESSAGE] + "…"
        message = f"{'warning: ' if self.is_warning else ''}{message}{printable(suggestion)}"
        return f"{self.place}: {message}\n{self.place.picture()}" if self.place else message


class UnplacedError(ValueError):
    """Something is wrong, found by code that does not know where in a file it stands.

    ``part`` is the part that it is about, where it is not the whole: offsets in the text that the
    code has looked at.
    """

    def __init__(self, message: str, hint: str = "", part: tuple[int, int] | None = None) -> None:
        super().__init__(message)
        self.hint = hint
        self.part = part

    def at(self, place: Place) -> ConfigError:
        """Return the error with its place, which is that of the text."""
        if self.part is not None:
            start, end = self.part
            place = Place(place.source, place.start + start, place.start + end)
        return ConfigError(str(self), place, hint=self.hint)


class InvalidConfig(Exception):
    """A configuration cannot be used; ``errors`` is all that is wrong with it, in reading order."""

    def __init__(self, errors: Iterable[ConfigError]) -> None:
        self.errors = tuple(errors)
        super().__init__("\n".join(map(str, self.errors)))


def nearest(name: str, known: Iterable[str]) -> str:
    """Return the known name that ``name`` was probably meant to be, or an empty string."""
    if len(name) > _LONGEST_NAME:
        return ""
    return next(iter(get_close_matches(name, sorted(known), n=1)), "")


def printable(text: str) -> str:
    """Return the text with each character that no terminal can show replaced by "�"."""
    return "".join(c if c.isprintable() or c == "\t" else "�" for c in text)


def _without_passwords(text: str) -> str:
    return _PASSWORD.sub(lambda password: "*" * len(password[0]), text)
