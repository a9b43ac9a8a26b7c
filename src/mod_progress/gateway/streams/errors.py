"""What a peer does in the middle of a message."""

from __future__ import annotations


class Cut(ConnectionError):
    """A peer went away in the middle of a message."""

    def __init__(self, stream: object, reason: str) -> None:
        super().__init__(reason)
        #: The stream whose peer is at fault.
        self.stream = stream


class Slow(Cut):
    """A peer did not read, or write, within its limit."""
