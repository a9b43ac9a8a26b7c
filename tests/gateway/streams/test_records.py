"""The framing of a body in records; how it moves in the kernel is in backends/test_fastcgi.py."""

from __future__ import annotations

import pytest

from mod_progress.gateway.streams.records import Records

RECORDS = Records(b"<%d>".__mod__, 4)


@pytest.mark.parametrize(
    ("data", "framed"),
    [
        (b"a", b"<1>a"),
        (b"abcd", b"<4>abcd"),
        (b"abcde", b"<4>abcd<1>e"),
        (b"abcdefgh", b"<4>abcd<4>efgh"),
    ],
)
def test_a_piece_may_need_several_records(data: bytes, framed: bytes) -> None:
    assert RECORDS(data) == framed
