"""Streams of Server-Sent Events, whole and in any pieces."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mod_progress.terminal.events import MOST, Event, EventError, EventParser


def parse(stream: bytes) -> list[Event]:
    return EventParser().feed(stream)


@pytest.mark.parametrize(
    ("stream", "events"),
    [
        (b"", []),
        (b"data: a\n\n", [Event("message", "a", "")]),
        (b"data:a\n\n", [Event("message", "a", "")]),
        (b"data:  a\n\n", [Event("message", " a", "")]),
        (b"data: a", []),
        (b"data: a\n", []),
        (b"data: a\r\n\r\n", [Event("message", "a", "")]),
        (b"data: a\r\r", [Event("message", "a", "")]),
        (b"data: a\r\n\rdata: b\n\r", [Event("message", "a", ""), Event("message", "b", "")]),
        (b"\xef\xbb\xbfdata: a\n\n", [Event("message", "a", "")]),
        (b"data: a\n\n\xef\xbb\xbfdata: b\n\n", [Event("message", "a", "")]),
        (b":\n\n: a comment\n\n", []),
        (b"retry: 1000\n\ndata: a\n\n", [Event("message", "a", "")]),
        (
            b"event: end\ndata: {}\n\ndata: b\n\n",
            [Event("end", "{}", ""), Event("message", "b", "")],
        ),
        (b"event: end\n\ndata: a\n\n", [Event("message", "a", "")]),
        (b"event: x\nevent\ndata: a\n\n", [Event("message", "a", "")]),
        (b"data: a\ndata: b\n\n", [Event("message", "a\nb", "")]),
        (b"data\n\n", [Event("message", "", "")]),
        (
            b"data: a\nid: 7\n\ndata: b\n\n",
            [Event("message", "a", "7"), Event("message", "b", "7")],
        ),
        (
            b"data: a\nid: 7\n\ndata: b\nid\n\n",
            [Event("message", "a", "7"), Event("message", "b", "")],
        ),
        (b"id: 7\n\ndata: a\nid: 8\0\n\n", [Event("message", "a", "7")]),
        (b" data: a\ndata : b\nother: c\n\n", []),
        (b"data: \xff\n\n", [Event("message", "\ufffd", "")]),
    ],
)
def test_a_stream(stream: bytes, events: list[Event]) -> None:
    assert parse(stream) == events
    parser = EventParser()
    assert [event for byte in stream for event in parser.feed(bytes([byte]))] == events


#: Texts that can stand in one line.
LINES = st.text(st.characters(codec="utf-8", exclude_characters="\r\n\0"))


@st.composite
def streams(draw: st.DrawFn) -> tuple[bytes, list[Event]]:
    """Return a stream and the events in it."""
    stream, events, last = b"", [], ""
    for name, data, identifier in draw(
        st.lists(st.tuples(LINES, st.lists(LINES, min_size=1), st.none() | LINES))
    ):
        lines = [f"event: {name}", *(f"data: {line}" for line in data), ": comment"]
        if identifier is not None:
            lines.append(f"id: {identifier}")
            last = identifier
        ends = draw(st.sampled_from(["\n", "\r\n", "\r"]))
        stream += "".join(line + ends for line in [*lines, ""]).encode()
        events.append(Event(name or "message", "\n".join(data), last))
    return stream, events


@settings(deadline=None)
@given(streams(), st.lists(st.integers(0, 400)))
def test_the_pieces_do_not_matter(stream: tuple[bytes, list[Event]], cuts: list[int]) -> None:
    data, events = stream
    parser = EventParser()
    taken = []
    for start, end in zip([0, *sorted(cuts)], [*sorted(cuts), len(data)], strict=True):
        taken += parser.feed(data[start:end])
    assert taken == events


@settings(deadline=None)
@given(st.lists(st.binary()))
def test_any_bytes_are_taken_in_any_pieces(pieces: list[bytes]) -> None:
    parser = EventParser()
    assert [event for piece in pieces for event in parser.feed(piece)] == parse(b"".join(pieces))


@pytest.mark.parametrize(
    ("most", "more"),
    [
        (b"x" * MOST, b"x"),
        (b"data: a\n" * MOST, b"data: a\n"),
    ],
)
def test_what_has_no_end_is_not_kept(most: bytes, more: bytes) -> None:
    parser = EventParser()
    assert parser.feed(most) == []
    with pytest.raises(EventError, match="has no end"):
        parser.feed(more)
