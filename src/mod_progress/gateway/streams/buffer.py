"""Bytes that came and that nobody took yet."""

from __future__ import annotations


class ReceiveBuffer:
    """A queue of bytes, taken from the front.

    What was taken is cut off only when more bytes come. So many small messages that came at once
    are not copied again for each of them.
    """

    __slots__ = ("_data", "_position", "size")

    def __init__(self) -> None:
        #: The number of bytes that wait. It is no ``__len__``, which would take many times as long.
        self.size = 0
        self._data = b""
        self._position = 0

    def append(self, data: bytes) -> None:
        """Let ``data`` wait behind what waits already."""
        self.size += len(data)
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

    def take(self, most: int) -> bytes:
        """Remove up to ``most`` bytes from the front, and return them."""
        data, begin = self._data, self._position
        end = begin + most
        if end < len(data):
            self._position = end
            self.size -= most
            return data[begin:end]
        self._data, self._position, self.size = b"", 0, 0
        return data[begin:] if begin else data

    def take_through(self, mark: bytes, start: int = 0) -> bytes | None:
        """Remove what is at the front up to the end of ``mark``; None where that is not there.

        ``mark`` is looked for from ``start`` on.
        """
        begin = self._position
        found = self._data.find(mark, begin + start)
        return None if found < 0 else self.take(found + len(mark) - begin)

    def put_back(self, data: bytes) -> None:
        """Let ``data``, which was taken last, wait at the front again."""
        self.size += len(data)
        self._data = data + self.peek()

    def clear(self) -> None:
        """Forget all that waits."""
        self._data, self._position, self.size = b"", 0, 0
