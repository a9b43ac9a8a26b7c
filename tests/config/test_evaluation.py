from pathlib import Path

import pytest
from hypothesis import given, settings

from mod_progress.config import check
from mod_progress.config.errors import Source
from mod_progress.config.evaluation import evaluate
from mod_progress.config.parser import parse
from mod_progress.config.scope import Scope
from mod_progress.config.tree import Assignment
from mod_progress.config.values import SMALLEST, Actions, Value, written
from tests.config.strategies import VALUES


def value_of(expression: str) -> Value:
    block, errors = parse(Source("test", f"x = {expression};"))
    assert not errors
    (statement,) = block.statements
    assert isinstance(statement, Assignment)
    return evaluate(statement.value, Scope(), lambda block: Actions(lambda exchange: None))


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


@given(VALUES)
@settings(deadline=None)
def test_what_is_written_is_read_again(value: Value) -> None:
    assert value_of(written(value)) == value


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
