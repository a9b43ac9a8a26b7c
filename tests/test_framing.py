import pytest
from hypothesis import given
from hypothesis import strategies as st

from mod_progress.framing import MOST_SIZE, parse_number, parse_size


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("0", 0),
        (b"0", 0),
        ("12", 12),
        (b"12", 12),
        ("0" * 30 + "12", 12),
        ("9223372036854775807", MOST_SIZE),
        ("9223372036854775808", None),
        (b"9223372036854775808", None),
        ("1" + "0" * 400, None),
        ("9" * 5000, None),
        ("", None),
        (b"", None),
        (None, None),
        ("+5", None),
        ("-5", None),
        (" 5", None),
        ("5 ", None),
        ("5_0", None),
        ("0x5", None),
        ("5.0", None),
        ("²", None),
        (b"\xb2", None),
        ("٣", None),
        ("5\n", None),
        (5, None),
    ],
)
def test_sizes(text: object, number: int | None) -> None:
    assert parse_size(text) == number


def test_a_number_has_its_own_bound() -> None:
    assert parse_number("60", 60) == 60
    assert parse_number("61", 60) is None


@given(st.text() | st.binary() | st.integers().map(str))
def test_whatever_comes_it_is_a_possible_size_or_none(text: str | bytes) -> None:
    size = parse_size(text)
    assert size is None or (0 <= size <= MOST_SIZE and int(text) == size)
