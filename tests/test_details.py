from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mod_progress.details import MOST_BYTES, NO_DETAILS, Details, decode, encode

UPLOAD = Details("POST", "/upload/\u00e9", "2001:db8::7")


def test_what_is_encoded_is_read_back_wherever_it_begins() -> None:
    record = encode(UPLOAD, "an-id")
    assert decode(record) == UPLOAD
    assert decode(b"before" + record, len(b"before")) == UPLOAD


texts = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="~=&?"), max_size=20)


@given(texts, texts, texts)
def test_short_texts_come_back_whole(method: str, path: str, peer: str) -> None:
    details = Details(method[:8], path, peer[:16])
    assert decode(encode(details, "~" * 9)) == details


anything = st.text(max_size=700) | st.none() | st.integers() | st.binary(max_size=9)


@given(anything, anything, anything)
def test_whatever_a_front_gives_becomes_a_bounded_record(method: Any, path: Any, peer: Any) -> None:
    record = encode(Details(method, path, peer), "id")
    assert len(record) <= MOST_BYTES
    assert all(isinstance(text, str) for text in decode(record))


@given(st.binary(max_size=100), st.integers(0, 120))
def test_any_bytes_are_read_without_an_error(record: bytes, offset: int) -> None:
    assert isinstance(decode(record, offset), Details)


def test_no_record_reads_as_no_details() -> None:
    assert decode(b"a") == NO_DETAILS


def test_a_long_path_is_cut_between_two_characters() -> None:
    path = decode(encode(Details(path="/" + "\u00e9" * 600), "id")).path
    assert path == "/" + "\u00e9" * 255


@pytest.mark.parametrize(
    ("path", "identifier", "shown"),
    [
        ("/progress/0123456789", "0123456789", "/progress/01234..."),
        ("/files/own~0123456789/part", "see~abc", "/files/own~01234.../part"),
        ("/odd?X-Progress-ID=0123456789", "other", "/odd?X-Progress-ID=01234..."),
    ],
)
def test_no_id_is_whole_in_a_path(path: str, identifier: str, shown: str) -> None:
    assert decode(encode(Details(path=path), identifier)).path == shown
