"""The chunked coding's own bounds; its grammar is in behaviours, its invariants in fuzz."""

from __future__ import annotations

import pytest

from mod_progress.gateway.http.chunked import ChunkedDecoder
from mod_progress.gateway.http.heads import Refusal


@pytest.mark.parametrize(
    ("within", "beyond"),
    [
        (b"1;%b\r\na\r\n" % (b"a" * 1000) * 16, b"1;%b\r\na\r\n" % (b"a" * 1000) * 17),
        (b"0\r\n" + b"A: %b\r\n" % (b"a" * 997) * 16, b"0\r\n" + b"A: %b\r\n" % (b"a" * 997) * 17),
        (b"1;" + b"a" * 4094, b"1;" + b"a" * 4095),
        (b"7fffffffffffffff\r\n", b"8000000000000000\r\n"),
    ],
    ids=["extensions", "trailers", "a line", "a size"],
)
def test_what_is_of_no_use_is_bounded(within: bytes, beyond: bytes) -> None:
    ChunkedDecoder().feed(within)
    with pytest.raises(Refusal):
        ChunkedDecoder().feed(beyond)


def test_broken_framing_stays_broken() -> None:
    decoder = ChunkedDecoder()
    for data in (b"x\r\n", b"0\r\n\r\n"):
        with pytest.raises(Refusal):
            decoder.feed(data)
    assert not decoder.finished
