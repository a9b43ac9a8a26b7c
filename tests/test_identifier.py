import string
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mod_progress.identifier import (
    CALLBACK_PARAMETER,
    check_identifier,
    find_identifier,
    find_parameter,
)

VISIBLE = "".join(map(chr, range(0x21, 0x7F)))


@pytest.mark.parametrize(
    ("query", "header", "found"),
    [
        (b"X-Progress-ID=abc", None, b"abc"),
        (b"X-Progress-Id=abc", None, b"abc"),
        (b"x-progress-id=abc", None, b"abc"),
        (b"X-PROGRESS-ID=abc", None, b"abc"),
        (b"X%2DProgress%2dID=abc", None, b"abc"),
        (b"a=1&X-Progress-ID=abc&b=2", None, b"abc"),
        (b"X-Progress-ID=first&X-Progress-ID=second", None, b"first"),
        (b"X-Progress-ID=a%2Fb", None, b"a/b"),
        (b"X-Progress-ID=a+b", None, b"a+b"),
        (b"X-Progress-ID=a=b", None, b"a=b"),
        (b"X-Progress-ID=", None, b""),
        (b"X-Progress-ID=abc", b"other", b"abc"),
        (b"X-Progress-ID=", b"other", b""),
        (b"", b"other", b"other"),
        (b"a=1", b"other", b"other"),
        (b"a=1", None, None),
        (b"X-Progress-ID", None, None),
        (b"XX-Progress-ID=abc", None, None),
        (b"a=X-Progress-ID=abc", None, None),
        (b"X-Progress-IDs=abc", None, None),
        (b"", None, None),
    ],
)
def test_where_an_id_is_found(query: bytes, header: bytes | None, found: bytes | None) -> None:
    assert find_identifier(query, header) == found


@pytest.mark.parametrize(
    ("candidate", "valid"),
    [
        (b"a", True),
        (VISIBLE[:128].encode(), True),
        (b"x" * 128, True),
        (b"x" * 129, False),
        (b"", False),
        (None, False),
        (b"a b", False),
        (b"a\n", False),
        (b"a\0", False),
        (b"\x7f", False),
        ("ä".encode(), False),
    ],
)
def test_which_ids_are_valid(candidate: bytes | None, valid: bool) -> None:
    assert (check_identifier(candidate) is not None) is valid


def test_other_parameters_are_found_the_same_way() -> None:
    query = b"X-Progress-ID=a&x-progress-callback=my.function"
    assert find_parameter(query, CALLBACK_PARAMETER) == b"my.function"


@given(
    st.text(VISIBLE, min_size=1, max_size=128),
    st.lists(st.text(string.ascii_letters, min_size=1), max_size=3),
)
def test_an_encoded_id_comes_back(identifier: str, others: list[str]) -> None:
    pairs = [f"{name}=x" for name in others]
    pairs.append(f"X-Progress-ID={quote(identifier, safe='')}")
    query = "&".join(pairs).encode()
    assert check_identifier(find_identifier(query, None)) == identifier


@given(st.binary(), st.none() | st.binary())
def test_whatever_comes_an_id_is_valid_or_none(query: bytes, header: bytes | None) -> None:
    identifier = check_identifier(find_identifier(query, header))
    assert identifier is None or (0 < len(identifier) <= 128 and set(identifier) <= set(VISIBLE))
