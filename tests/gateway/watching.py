"""A client that watches a transfer through a stream of events, on a socket of its own."""

from __future__ import annotations

import socket
import struct
from typing import Any

from tests.show.event_source import EventSource

REQUEST = "GET {} HTTP/1.{}\r\nHost: a\r\n{}\r\n"


class Watching:
    """Asks for a stream, and reads it by the framing that the response has."""

    def __init__(
        self,
        connection: socket.socket,
        target: str,
        *fields: str,
        minor: int = 1,
        method: str = "GET",
    ) -> None:
        self.connection = connection
        self.source = EventSource()
        self.status = 0
        self.fields: dict[str, str] = {}
        #: Whether the whole stream has come.
        self.ended = False
        #: What has come and was not taken yet.
        self.rest = b""
        self._chunked = False
        head = REQUEST.format(target, minor, "".join(f"{field}\r\n" for field in fields))
        connection.sendall(head.replace("GET", method, 1).encode())
        self._read_head()

    def __enter__(self) -> Watching:
        return self

    def __exit__(self, *error: object) -> None:
        self.connection.close()

    def receive(self) -> bool:
        """Wait for more bytes; tell whether some came."""
        data = self.connection.recv(65536)
        self.rest += data
        return bool(data)

    def _read_head(self) -> None:
        while b"\r\n\r\n" not in self.rest:
            assert self.receive(), self.rest
        head, _, self.rest = self.rest.partition(b"\r\n\r\n")
        line, *lines = head.decode("latin-1").split("\r\n")
        self.status = int(line.split()[1])
        pairs = (each.partition(":") for each in lines)
        self.fields = {name.lower(): value.strip() for name, _, value in pairs}
        self._chunked = self.fields.get("transfer-encoding") == "chunked"

    def feed(self) -> None:
        """Give what has come to the events' reader."""
        if not self._chunked:
            self.source.feed(self.rest)
            self.rest = b""
            return
        while not self.ended and b"\r\n" in self.rest:
            size, _, rest = self.rest.partition(b"\r\n")
            length = int(size, 16)
            if len(rest) < length + 2:
                return
            self.source.feed(rest[:length])
            self.rest = rest[length + 2 :]
            self.ended |= not length

    def read_until(self, state: str, **members: object) -> Any:
        """Read until an event says so; return its data."""
        seen = 0
        while True:
            self.feed()
            for event in self.source.events[seen:]:
                seen += 1
                data = event.json()
                if data.get("state", event.name) == state and data | members == data:
                    return data
            assert self.receive(), f"the stream ended: {self.source.events}"

    def read_to_end(self) -> None:
        """Read the rest of the stream."""
        self.feed()
        while not self.ended:
            if not self.receive():
                assert not self._chunked, "the stream is cut"
                self.ended = True
            self.feed()

    @property
    def states(self) -> list[str]:
        return [event.json().get("state", event.name) for event in self.source.events]

    def reset(self) -> None:
        """Vanish, as a client that is killed does."""
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.connection.close()
