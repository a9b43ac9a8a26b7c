"""Bytes that came and that nobody took yet."""

from __future__ import annotations


class ReceiveBuffer:
    """A queue of bytes, taken from the front.

    What was taken is cut off only when more bytes come. So many small messages that came at once
    are not copied again for each of them.
    """

    __slots__ = ("_data", "_position")

    def __init__(self) -> None:
        self._data = b""
        self._position = 0

    def __len__(self) -> int:
        """Count the bytes that wait."""
        return len(self._data) - self._position

    def append(self, data: bytes) -> None:
        """Let ``data`` wait behind what waits already."""
        self._data = self.peek() + data if self._data else data

    def peek(self) -> bytes:
        """Return all that waits, and leave it here."""
        if self._position:
            self._data = self._data[self._position :]
            self._position = 0
        return self._data

    def starts_with(self, mark: bytes) -> bool:
        """Whether ``mark`` is at the front."""
        return self._data.startswith(mark, self._position)

    def find(self, mark: bytes, start: int = 0) -> int:
        """Return how many bytes are before ``mark``, found from ``start`` on; -1 without it."""
        found = self._data.find(mark, self._position + start)
        return found if found < 0 else found - self._position

    def take(self, most: int) -> bytes:
        """Remove up to ``most`` bytes from the front, and return them."""
        data, begin = self._data, self._position
        end = begin + most
        if end < len(data):
            self._position = end
            return data[begin:end]
        self._data, self._position = b"", 0
        return data[begin:] if begin else data

    def put_back(self, data: bytes) -> None:
        """Let ``data``, which was taken last, wait at the front again."""
        self._data = data + self.peek()

    def clear(self) -> None:
        """Forget all that waits."""
        self._data, self._position = b"", 0
