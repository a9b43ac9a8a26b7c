"""Compiles the tests of an ``if`` to conditions."""

from __future__ import annotations

from collections.abc import Callable
from ipaddress import ip_network

from mod_progress.config import tree
from mod_progress.config.errors import UnplacedError
from mod_progress.config.evaluation import errors_at
from mod_progress.config.patterns import compile_expression, find_variable
from mod_progress.config.values import Value, string, type_of
from mod_progress.gateway.actions import conditions
from mod_progress.gateway.actions.conditions import Search, Variable
from mod_progress.gateway.actions.flow import Condition

#: Returns the value that stands on the right of a comparison.
Evaluate = Callable[[tree.Expression], Value]

_NUMBER_SIGNS = ("==", "!=", "<", "<=", ">", ">=")
_TEXT_SIGNS = ("==", "!=", "=~", "!~", "=^", "!^", "=$", "!$", "=/", "!/")


class ConditionCompiler:
    """Compiles the tests of one ``if``, and collects the regular expressions in them."""

    def __init__(self, evaluate: Evaluate) -> None:
        self._evaluate = evaluate
        #: The regular expressions so far, the last one first.
        self.searches: tuple[Search, ...] = ()

    def compile(self, test: tree.Test) -> Condition:
        """Return the condition; raises `ConfigError` or `Failed`."""
        match test:
            case tree.Conjunction():
                return conditions.every([self.compile(part) for part in test.tests])
            case tree.Disjunction():
                return conditions.either([self.compile(part) for part in test.tests])
            case tree.Negation():
                return conditions.negate(self.compile(test.test))
            case tree.Comparison():
                return self._comparison(test)

    def _comparison(self, test: tree.Comparison) -> Condition:
        variable = _variable(test)
        if test.operator is None or test.value is None:
            return conditions.truth(variable)
        value = self._evaluate(test.value)
        with errors_at(test.place):
            _check_sign(variable, test.operator)
        with errors_at(test.value.place):
            if variable.type is int:
                return conditions.compare(variable, test.operator, _integer(value))
            return self._compare_text(variable, test.operator, value)

    def _compare_text(self, variable: Variable, sign: str, value: Value) -> Condition:
        if not isinstance(value, bytes):
            raise UnplacedError(f"a text is compared with a string, not {type_of(value)}")
        text = value.decode("utf-8", "surrogateescape") if variable.type is str else value
        if variable is conditions.VARIABLES["host"] and sign[1] in "=^$":
            text = _host_text(value, sign)
        if sign in _NUMBER_SIGNS:
            return conditions.compare(variable, sign, text)
        condition = self._ask(variable, sign[1], text)
        return conditions.negate(condition) if sign[0] == "!" else condition

    def _ask(self, variable: Variable, sign: str, text: str | bytes) -> Condition:
        if sign == "^":
            return conditions.starts_with(variable, text)
        if sign == "$":
            return conditions.ends_with(variable, text)
        if sign == "/":
            return conditions.within(variable, _network(text))
        search = conditions.search(variable, compile_expression(text))
        self.searches = (search, *self.searches)
        return conditions.found(search)


def _variable(test: tree.Comparison) -> Variable:
    key = None
    if test.key is not None:
        with errors_at(test.key.place):
            key = string(test.key.place.text)
    with errors_at(test.variable.place):
        return find_variable(test.variable.name, key)


def _check_sign(variable: Variable, sign: str) -> None:
    if variable.type is bool:
        raise UnplacedError("a boolean stands alone, or behind '!'")
    what, signs = ("number", _NUMBER_SIGNS) if variable.type is int else ("text", _TEXT_SIGNS)
    if sign not in signs:
        raise UnplacedError(f"a {what} is compared with one of {' '.join(signs)}")


def _integer(value: Value) -> int:
    if not isinstance(value, int) or isinstance(value, bool):
        raise UnplacedError(f"a number is compared with an integer, not {type_of(value)}")
    return value


def _host_text(text: bytes, sign: str) -> bytes:
    """Return what a host is compared with: like the hosts of requests it is in lower case.

    A port would never be equal, so it is refused.
    """
    if sign not in ("==", "!="):
        return text.lower()
    name = conditions.host_name(text)
    if name != text.rstrip(b".").lower():
        raise UnplacedError("req.host has no port: compare req.localport")
    return name


def _network(text: str | bytes) -> conditions.Network:
    address = text if isinstance(text, str) else text.decode("utf-8", "surrogateescape")
    return parse_network(address)


def parse_network(address: str) -> conditions.Network:
    """Return the network, or the single address, that a string names."""
    try:
        return ip_network(address, strict=False)
    except ValueError:
        message = f"'{address}' is not an address such as 10.0.0.1, or 10.0.0.0/8"
        raise UnplacedError(message) from None
