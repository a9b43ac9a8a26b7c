"""Server-Sent Events: the parser of a stream (HTML standard, section 9.2.6)."""

from __future__ import annotations

import re
from typing import NamedTuple

#: Characters of the longest line, and of the most data of one event. An event of a show takes two
#: hundred.
MOST = 1 << 16

_LINE_END = re.compile(b"\r\n|\n|\r")
_MARK = b"\xef\xbb\xbf"


class EventError(ValueError):
    """The stream has a line or an event that is longer than any that a show sends."""


class Event(NamedTuple):
    """One event of a stream."""

    name: str
    data: str
    #: The id of the last event that had one: what Last-Event-ID says when the client comes back.
    last: str


class EventParser:
    """Takes the bytes of a stream in any pieces; returns the events that are complete."""

    def __init__(self) -> None:
        self._rest = b""
        self._begun = False
        self._after_cr = False
        self._name = ""
        self._data: list[str] = []
        self._size = 0
        self._last = ""

    def feed(self, data: bytes) -> list[Event]:
        """Take the next bytes; return the events that they complete. Raises `EventError`."""
        if self._after_cr:
            # A CR LF is one line end, also where it came in two pieces.
            self._after_cr = not data
            data = data.removeprefix(b"\n")
        if data:
            self._after_cr = data.endswith(b"\r")
        *lines, self._rest = _LINE_END.split(self._rest + data)
        if len(self._rest) > MOST:
            raise EventError("a line has no end")
        return [event for line in lines if (event := self._take(line)) is not None]

    def _take(self, line: bytes) -> Event | None:
        """Take one line; return the event that it ends, if it ends one."""
        if not self._begun:
            self._begun = True
            line = line.removeprefix(_MARK)
        if not line:
            return self._dispatch()
        name, _, value = line.decode(errors="replace").partition(":")
        self._set(name, value.removeprefix(" "))
        return None

    def _set(self, name: str, value: str) -> None:
        if name == "data":
            self._size += len(value)
            if self._size > MOST:
                raise EventError("an event has no end")
            self._data.append(value)
        elif name == "event":
            self._name = value
        elif name == "id" and "\0" not in value:
            self._last = value

    def _dispatch(self) -> Event | None:
        name, data = self._name, self._data
        self._name, self._data, self._size = "", [], 0
        return Event(name or "message", "\n".join(data), self._last) if data else None
