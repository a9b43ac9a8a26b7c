import pytest

from mod_progress.config.errors import UnplacedError
from mod_progress.config.scope import Failed, Scope


def test_a_name_is_the_variable_of_the_nearest_scope() -> None:
    outer = Scope()
    inner = Scope(outer)
    outer.assign("", "a", 1)
    assert inner["a"] == 1
    inner.assign("local", "a", 2)
    assert (inner["a"], outer["a"]) == (2, 1)
    inner.assign("", "a", 3)
    assert (inner["a"], outer["a"]) == (3, 1)


def test_an_assignment_changes_what_is_seen_or_makes_a_variable() -> None:
    outer = Scope()
    inner = Scope(outer)
    outer.assign("", "a", 1)
    inner.assign("", "a", 2)
    inner.assign("", "b", 3)
    assert outer["a"] == 2
    assert ("b" in inner, "b" in outer) == (True, False)


def test_global_is_the_outermost_scope() -> None:
    outer = Scope()
    middle = Scope(outer)
    middle.assign("", "a", 1)
    Scope(middle).assign("global", "a", 2)
    assert (outer["a"], middle["a"]) == (2, 1)


def test_a_variable_whose_value_was_in_error_is_no_second_error() -> None:
    scope = Scope()
    scope.assign("", "a", Failed)
    assert "a" in scope
    with pytest.raises(Failed):
        scope["a"]


@pytest.mark.parametrize(
    ("name", "message", "hint"),
    [
        ("colour", "undefined variable 'colour'", "color"),
        ("sys.versio", "unknown variable 'sys.versio'", "sys.version"),
        ("sys.env.HOMM", "the environment has no 'HOMM'", "HOME"),
    ],
)
def test_a_name_that_is_unknown_gets_the_nearest_one(
    monkeypatch: pytest.MonkeyPatch, name: str, message: str, hint: str
) -> None:
    monkeypatch.setenv("HOME", "/")
    scope = Scope()
    scope.assign("", "color", 1)
    with pytest.raises(UnplacedError, match=message) as raised:
        scope[name]
    assert raised.value.hint == hint


def test_variables_of_the_system_cannot_be_changed() -> None:
    with pytest.raises(UnplacedError, match="cannot be changed"):
        Scope().assign("local", "sys.pid", 1)
