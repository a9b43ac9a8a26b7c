"""However a chunked body is split, it decodes to the same; what is accepted, llhttp reads alike."""

from __future__ import annotations

from itertools import pairwise
from typing import NamedTuple

import httptools
from hypothesis import given
from hypothesis import strategies as st

from mod_progress.gateway.http.chunked import LAST_CHUNK, ChunkedDecoder, encode_chunk
from mod_progress.gateway.http.heads import Refusal

sizes = st.sampled_from([b"%x", b"%X", b"0%x", b"00000%X"])
extensions = st.sampled_from([b"", b";a", b";a=b", b';a="b;\\"c"', b";a;b=c"])
trailers = st.lists(st.sampled_from([b"A: b\r\n", b"Host: c\r\n", b"D:\r\n"]), max_size=3)


@st.composite
def bodies(draw: st.DrawFn) -> tuple[bytes, bytes]:
    """A body in chunks, and what it stands for."""
    coded = payload = b""
    for chunk in draw(st.lists(st.binary(min_size=1, max_size=20), max_size=5)):
        size = draw(sizes) % len(chunk)
        coded += b"%b%b\r\n%b\r\n" % (size, draw(extensions), chunk)
        payload += chunk
    return coded + b"0" + draw(extensions) + b"\r\n" + b"".join(draw(trailers)) + b"\r\n", payload


@st.composite
def damaged(draw: st.DrawFn) -> bytes:
    """A body in chunks with a few bytes put in, taken out or changed."""
    coded, _ = draw(bodies())
    for _ in range(draw(st.integers(0, 3))):
        at = draw(st.integers(0, len(coded)))
        new = draw(st.sampled_from([b"", b"\r", b"\n", b"\r\n", b" ", b";", b"0", b"f", b"\0"]))
        coded = coded[:at] + new + coded[at + draw(st.integers(0, 1)) :]
    return coded


class Decoded(NamedTuple):
    """The body, whether it ended, what followed it, whether it was refused."""

    body: bytes
    finished: bool = False
    rest: bytes = b""
    refused: bool = False


def decode(pieces: list[bytes]) -> Decoded:
    decoder, body = ChunkedDecoder(), b""
    for at, piece in enumerate(pieces, 1):
        try:
            body += decoder.feed(piece)
        except Refusal:
            return Decoded(body, refused=True)
        if decoder.finished:
            return Decoded(body, True, decoder.rest + b"".join(pieces[at:]))
    return Decoded(body)


@given(bodies(), st.binary(max_size=9))
def test_a_body_is_what_it_stands_for(body: tuple[bytes, bytes], after: bytes) -> None:
    coded, payload = body
    assert decode([coded + after]) == Decoded(payload, True, after)


@given(bodies())
def test_a_body_that_is_cut_does_not_end(body: tuple[bytes, bytes]) -> None:
    coded, payload = body
    for end in range(len(coded)):
        read = decode([coded[:end]])
        assert payload.startswith(read.body)
        assert not read.finished
        assert not read.refused


@given(damaged(), st.lists(st.integers(0, 200), max_size=6))
def test_how_it_is_split_changes_nothing(coded: bytes, cuts: list[int]) -> None:
    places = sorted(min(cut, len(coded)) for cut in cuts)
    whole = decode([coded])
    split = decode([coded[start:end] for start, end in pairwise([0, *places, len(coded)])])
    # What came before a fault may have been handed on.
    assert split == (whole._replace(body=split.body) if whole.refused else whole)


class Seen:
    """What llhttp makes of a chunked body."""

    def __init__(self, coded: bytes) -> None:
        self.body = b""
        self.complete = False
        parser = httptools.HttpRequestParser(self)
        parser.feed_data(b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n" + coded)

    def on_body(self, data: bytes) -> None:
        self.body += data

    def on_message_complete(self) -> None:
        self.complete = True


@given(damaged())
def test_llhttp_reads_it_alike(coded: bytes) -> None:
    read = decode([coded])
    # Spaces around an extension are allowed (RFC 9112, section 7.1.1), but not by llhttp.
    if read.finished and b" " not in coded.replace(b": ", b""):
        seen = Seen(coded.removesuffix(read.rest) if read.rest else coded)
        assert seen.complete
        assert seen.body == read.body


@given(st.lists(st.binary(min_size=1)))
def test_what_is_encoded_can_be_decoded(pieces: list[bytes]) -> None:
    coded = b"".join(map(encode_chunk, pieces)) + LAST_CHUNK
    assert decode([coded]) == Decoded(b"".join(pieces), True)
