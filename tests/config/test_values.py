from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mod_progress.config import check
from mod_progress.config.errors import Source, UnplacedError
from mod_progress.config.evaluation import evaluate
from mod_progress.config.parser import parse
from mod_progress.config.scope import Scope
from mod_progress.config.tree import Assignment
from mod_progress.config.values import (
    LARGEST,
    SMALLEST,
    UNITS,
    Actions,
    Value,
    integer,
    operate,
    prefix,
    string,
    type_of,
    written,
)


def value_of(expression: str) -> Value:
    block, errors = parse(Source("test", f"x = {expression};"))
    assert not errors
    (statement,) = block.statements
    assert isinstance(statement, Assignment)
    return evaluate(statement.value, Scope(), lambda block: Actions(lambda exchange: None))


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
    ("expression", "value"),
    [
        ("true", True),
        ("none", None),
        ("default", None),
        ("not false", True),
        ("!!true", True),
        ("-1", -1),
        ("- 1 - -1", 0),
        ("-0x10kbyte", -16384),
        ("-9223372036854775807 - 1", SMALLEST),
        ("2 + 3 * 4", 14),
        ("(2 + 3) * 4", 20),
        ("10 - 4 - 3", 3),
        ("100 / 10 / 5", 2),
        ("7 / 2", 3),
        ("-7 / 2", -3),
        ("7 / -2", -3),
        ("-7 / -2", 3),
        ('"a" + \'b\' + e"c"', b"abc"),
        ("[]", ()),
        ("()", ()),
        ("[1]", (1,)),
        ("[1,]", (1,)),
        ("(1)", 1),
        ("(1,)", (1,)),
        ("(1, 2)", (1, 2)),
        ("[[1, 2], [3, 4], 5]", ((1, 2), (3, 4), 5)),
        ("[1] + (2, 3) + []", (1, 2, 3)),
        ('["a" => 1, "b" => [2 => 3]]', ((b"a", 1), (b"b", ((2, 3),)))),
        ('("a" => 1,)', ((b"a", 1),)),
        ('cast(int) "256"', 256),
        ('cast(int) "-5" + 1', -4),
        ("cast(int) true + cast(int) false", 1),
        ("cast(int) 7", 7),
        ("cast(string) 5", b"5"),
        ("cast ( string ) true + ''", b"true"),
        ('cast(string) "as it is"', b"as it is"),
        ('cast(string) [1, "a\\"b", none, [true]]', b'[1, "a\\"b", none, [true]]'),
        ("cast(string) { }", "{ … }".encode()),
        ('cast(int) cast(string) 12 + cast(int) "30"', 42),
    ],
)
def test_expressions(expression: str, value: Value) -> None:
    assert value_of(expression) == value
    assert type(value_of(expression)) is type(value)


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


SCALARS = st.none() | st.booleans() | st.integers(SMALLEST + 1, LARGEST) | st.binary()
VALUES = st.recursive(SCALARS, lambda values: st.lists(values).map(tuple), max_leaves=10)


@given(VALUES)
def test_what_is_written_is_read_again(value: Value) -> None:
    assert value_of(written(value)) == value


@given(st.integers(0, 2**50), st.sampled_from(sorted(UNITS)))
def test_a_unit_multiplies(number: int, unit: str) -> None:
    product = int(number * UNITS[unit])
    if product <= LARGEST:
        assert integer(f"{number} {unit}") == product
    else:
        with pytest.raises(UnplacedError):
            integer(f"{number} {unit}")


@given(VALUES, st.sampled_from("+-*/"), VALUES)
def test_operators_give_a_value_or_an_error(left: Value, operator: str, right: Value) -> None:
    try:
        result = operate(operator, left, right)
    except UnplacedError:
        return
    assert type_of(result) == type_of(left) == type_of(right)


@given(st.sampled_from(["-", "!", "not", "int", "string"]), VALUES)
def test_prefixes_give_a_value_or_an_error(operator: str, value: Value) -> None:
    try:
        result = prefix(operator, value)
    except UnplacedError:
        return
    assert type_of(result) in ("an integer", "a boolean", "a string")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a = 'x'; " + "a = a + a; " * 40, "the string is longer than"),
        ("a = [1]; " + "a = a + a; " * 40, "the list has more than"),
        ("a = [1]; " + "a = [a, a]; " * 40 + "b = cast(string) a;", "the string is longer than"),
        ("a = [1]; " + "a = [a]; " * 5000 + "b = cast(string) a;", "lists are within each other"),
    ],
)
def test_values_are_bounded(text: str, message: str, tmp_path: Path) -> None:
    (tmp_path / "site.conf").write_text(text)
    (error,) = check(tmp_path / "site.conf")
    assert message in str(error)
    assert error.place is not None
