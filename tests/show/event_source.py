"""Reads Server-Sent Events as a browser's EventSource does (HTML standard, section 9.2.6)."""

from __future__ import annotations

import json
from typing import Any, NamedTuple


class Event(NamedTuple):
    name: str
    data: str
    #: The last id that the stream has set by then.
    last_id: str

    def json(self) -> Any:
        return json.loads(self.data)


class EventSource:
    """Takes the bytes of a stream in any pieces, and keeps its events."""

    def __init__(self) -> None:
        self.events: list[Event] = []
        self.comments = 0
        self.retry: int | None = None
        self._buffer = b""
        self._clear()
        self.last_id = ""
        self._next_id = ""

    def _clear(self) -> None:
        self._data: list[str] = []
        self._name = ""

    def feed(self, data: bytes) -> None:
        *lines, self._buffer = (self._buffer + data).split(b"\n")
        for line in lines:
            self._take(line.decode())

    def _take(self, line: str) -> None:
        if not line:
            self._dispatch()
            return
        field, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if not field:
            self.comments += 1
        elif field == "data":
            self._data.append(value)
        elif field == "event":
            self._name = value
        elif field == "id":
            self._next_id = value
        elif field == "retry":
            self.retry = int(value)
        else:
            raise AssertionError(f"a browser ignores {line!r}")

    def _dispatch(self) -> None:
        self.last_id = self._next_id
        if self._data:
            self.events.append(Event(self._name or "message", "\n".join(self._data), self.last_id))
        self._clear()


def read_events(data: bytes) -> list[Event]:
    """Return the events of a whole stream."""
    source = EventSource()
    source.feed(data)
    return source.events
