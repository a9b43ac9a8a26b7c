import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mod_progress.config.errors import UnplacedError
from mod_progress.config.values import (
    LARGEST,
    UNITS,
    Value,
    integer,
    operate,
    prefix,
    string,
    type_of,
)
from tests.config.strategies import VALUES


@pytest.mark.parametrize(
    ("literal", "number"),
    [
        ("0", 0),
        ("128", 128),
        ("0644", 0o644),
        ("0xfF", 255),
        ("1byte", 1),
        ("3kbyte", 3 * 1024),
        ("3 mbyte", 3 * 1024**2),
        ("1\tgbyte", 1024**3),
        ("1tbyte", 1024**4),
        ("1pbyte", 1024**5),
        ("8bit", 1),
        ("7bit", 0),
        ("1kbit", 128),
        ("1mbit", 128 * 1024),
        ("0x10sec", 16),
        ("5min", 300),
        ("2hours", 7200),
        ("010days", 8 * 86400),
        ("9223372036854775807", LARGEST),
    ],
)
def test_integers(literal: str, number: int) -> None:
    assert integer(literal) == number


@pytest.mark.parametrize(
    ("literal", "value"),
    [
        ('"hello"', b"hello"),
        ("'hello'", b"hello"),
        ('e"hello"', b"hello"),
        ("e'hello'", b"hello"),
        ('""', b""),
        (r'"\n\r\t\\\"\'"', b"\n\r\t\\\"'"),
        (r"'\"'", b'"'),
        (r'"it\'s"', b"it's"),
        (r'"\x41\xfF\x00"', b"A\xff\x00"),
        (r'"\d\.\$\%"', rb"\d\.\$\%"),
        (r'"\\\\d"', rb"\\d"),
        (r'e"\\d\x41"', rb"\dA"),
        ('"é\udcff"', b"\xc3\xa9\xff"),
        ('"two\nlines"', b"two\nlines"),
        ('"\\\n"', b"\\\n"),
    ],
)
def test_strings(literal: str, value: bytes) -> None:
    assert string(literal) == value


@pytest.mark.parametrize(
    ("literal", "message"),
    [
        ("9" * 5000, "beyond 64 bits"),
        ("0" * 200, "beyond 64 bits"),
        ("9007199254740992kbyte", "beyond 64 bits"),
        ("0b11", "no integer"),
        ("1_000", "no integer"),
    ],
)
def test_what_is_no_integer(literal: str, message: str) -> None:
    with pytest.raises(UnplacedError, match=message):
        integer(literal)


@pytest.mark.parametrize(
    ("unit", "meant"),
    [("kb", "kbyte"), ("m", "mbyte"), ("s", "sec"), ("minutes", "min"), ("day", "days")],
)
def test_the_unit_that_was_meant(unit: str, meant: str) -> None:
    with pytest.raises(UnplacedError) as raised:
        integer(f"1{unit}")
    assert raised.value.hint == meant


@given(st.integers(0, 2**50), st.sampled_from(sorted(UNITS)))
@settings(deadline=None)
def test_a_unit_multiplies(number: int, unit: str) -> None:
    product = int(number * UNITS[unit])
    if product <= LARGEST:
        assert integer(f"{number} {unit}") == product
    else:
        with pytest.raises(UnplacedError):
            integer(f"{number} {unit}")


@given(VALUES, st.sampled_from("+-*/"), VALUES)
@settings(deadline=None)
def test_operators_give_a_value_or_an_error(left: Value, operator: str, right: Value) -> None:
    try:
        result = operate(operator, left, right)
    except UnplacedError:
        return
    assert type_of(result) == type_of(left) == type_of(right)


@given(st.sampled_from(["-", "!", "not", "int", "string"]), VALUES)
@settings(deadline=None)
def test_prefixes_give_a_value_or_an_error(operator: str, value: Value) -> None:
    try:
        result = prefix(operator, value)
    except UnplacedError:
        return
    assert type_of(result) in ("an integer", "a boolean", "a string")
