from __future__ import annotations

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from mod_progress.gateway.streams.buffer import ReceiveBuffer

PIECES = st.binary(max_size=12) | st.text("ab\r\n", max_size=6).map(str.encode)


class ABufferIsAQueueOfBytes(RuleBasedStateMachine):
    """The same steps on a buffer and on plain bytes."""

    def __init__(self) -> None:
        super().__init__()
        self.buffer = ReceiveBuffer()
        self.model = b""

    @rule(data=PIECES)
    def append(self, data: bytes) -> None:
        self.buffer.append(data)
        self.model += data

    @rule(most=st.integers(0, 20))
    def take(self, most: int) -> None:
        assert self.buffer.take(most) == self.model[:most]
        self.model = self.model[most:]

    @rule(data=PIECES)
    def put_back(self, data: bytes) -> None:
        self.buffer.put_back(data)
        self.model = data + self.model

    @rule(mark=PIECES, start=st.integers(0, 10))
    def take_through(self, mark: bytes, start: int) -> None:
        assert self.buffer.starts_with(mark) == self.model.startswith(mark)
        if start > len(self.model):
            return
        found = self.model.find(mark, start)
        end = found + len(mark)
        assert self.buffer.take_through(mark, start) == (None if found < 0 else self.model[:end])
        self.model = self.model if found < 0 else self.model[end:]

    @rule()
    def peek(self) -> None:
        assert self.buffer.peek() == self.model

    @rule()
    def clear(self) -> None:
        self.buffer.clear()
        self.model = b""

    @invariant()
    def as_long(self) -> None:
        assert self.buffer.size == len(self.model)


TestBuffer = ABufferIsAQueueOfBytes.TestCase


def test_one_message_is_handed_on_as_it_came() -> None:
    buffer, data = ReceiveBuffer(), b"x" * 100
    buffer.append(data)
    assert buffer.take(100) is data
