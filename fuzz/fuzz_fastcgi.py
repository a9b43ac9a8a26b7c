"""However records are split, they decode to the same; what is written reads back."""

from __future__ import annotations

from itertools import pairwise
from typing import NamedTuple

from hypothesis import given
from hypothesis import strategies as st
from tests.gateway.fastcgi_records import PARAMS, STDERR, STDOUT, end, pairs, record

from mod_progress.gateway.http.fastcgi import RecordDecoder, params
from mod_progress.gateway.http.heads import Refusal

streams = st.tuples(st.sampled_from([STDOUT, STDERR]), st.binary(min_size=1, max_size=300))


class Answer(NamedTuple):
    """The records of an answer, and what they stand for."""

    sent: bytes
    output: bytes
    errors: bytes


@st.composite
def answers(draw: st.DrawFn) -> Answer:
    pieces = draw(st.lists(streams, max_size=6))
    sent = b"".join(record(*piece, draw(st.integers(0, 9))) for piece in pieces)
    output = b"".join(data for kind, data in pieces if kind == STDOUT)
    errors = b"".join(data for kind, data in pieces if kind == STDERR)
    return Answer(sent + end(padding=draw(st.integers(0, 9))), output, errors)


@st.composite
def damaged(draw: st.DrawFn) -> bytes:
    """An answer with a few bytes put in, taken out or changed."""
    sent = draw(answers()).sent
    for _ in range(draw(st.integers(0, 3))):
        at = draw(st.integers(0, len(sent)))
        new = draw(st.binary(max_size=2))
        sent = sent[:at] + new + sent[at + draw(st.integers(0, 1)) :]
    return sent


class Decoded(NamedTuple):
    """The output, the errors, whether the request ended, what followed, whether it was refused."""

    output: bytes
    errors: bytes
    finished: bool = False
    rest: bytes = b""
    refused: bool = False


def decode(pieces: list[bytes]) -> Decoded:
    decoder, output = RecordDecoder(), b""
    for at, piece in enumerate(pieces, 1):
        try:
            output += decoder.feed(piece)
            while decoder.more:
                output += decoder.feed(b"")
        except Refusal:
            return Decoded(output, decoder.stderr, refused=True)
        if decoder.finished:
            rest = decoder.rest + b"".join(pieces[at:])
            return Decoded(output, decoder.stderr, True, rest)
    return Decoded(output, decoder.stderr)


@given(answers(), st.binary(max_size=9))
def test_an_answer_is_what_it_stands_for(answer: Answer, after: bytes) -> None:
    sent, output, errors = answer
    assert decode([sent + after]) == Decoded(output, errors, True, after)


@given(answers())
def test_an_answer_that_is_cut_does_not_end(answer: Answer) -> None:
    for cut in range(len(answer.sent)):
        read = decode([answer.sent[:cut]])
        assert answer.output.startswith(read.output)
        assert answer.errors.startswith(read.errors)
        assert not read.finished
        assert not read.refused


@given(damaged(), st.lists(st.integers(0, 400), max_size=6))
def test_how_it_is_split_changes_nothing(sent: bytes, cuts: list[int]) -> None:
    places = sorted(min(cut, len(sent)) for cut in cuts)
    whole = decode([sent])
    split = decode([sent[start:stop] for start, stop in pairwise([0, *places, len(sent)])])
    # What came before a fault may have been handed on.
    expected = whole._replace(output=split.output, errors=split.errors) if whole.refused else whole
    assert split == expected


def contents(written: bytes, kind: int) -> bytes:
    """Return the content of a stream's records; each is one of this stream, without padding."""
    found = b""
    while written:
        size = int.from_bytes(written[4:6])
        assert written[:8] == record(kind, bytes(size))[:8]
        found += written[8 : 8 + size]
        written = written[8 + size :]
    return found


@given(st.lists(st.tuples(st.binary(max_size=200), st.binary(max_size=200)), max_size=20))
def test_variables_read_back(variables: list[tuple[bytes, bytes]]) -> None:
    assert pairs(contents(params(variables), PARAMS)) == variables
