"""Expressions: from the syntax tree to values, while the configuration is read."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial

from mod_progress.config import tree, values
from mod_progress.config.errors import ConfigError, Fault, Place
from mod_progress.config.scope import Failed, Scope
from mod_progress.config.values import Actions, Value

_WORDS: dict[str, Value] = {"TRUE": True, "FALSE": False, "NONE": None, "DEFAULT": None}

#: Compiles a block of actions that stands where a value does.
CompileBlock = Callable[[tree.Block], Actions]


@contextmanager
def faults_at(place: Place) -> Iterator[None]:
    """Raise a `Fault` as the `ConfigError` that it is at ``place``."""
    try:
        yield
    except Fault as fault:
        raise fault.at(place) from None


def evaluate(node: tree.Expression, scope: Scope, block: CompileBlock) -> Value:
    """Return the value of an expression; raises `ConfigError`, or `Failed`."""
    of = partial(evaluate, scope=scope, block=block)
    match node:
        case tree.Block():
            return block(node)
        case tree.List():
            return _list(node, of)
        case tree.Pair():
            return of(node.key), of(node.value)
        case tree.Prefixed():
            operand = of(node.operand)
            with faults_at(node.place):
                return values.prefix(node.operator, operand)
        case tree.Operation():
            return _operation(node, of)
        case tree.Variable():
            with faults_at(node.place):
                return scope[node.name]
        case tree.Literal():
            with faults_at(node.place):
                return _literal(node)


def _literal(node: tree.Literal) -> Value:
    if node.kind == "STRING":
        return values.string(node.place.text)
    if node.kind == "INTEGER":
        return values.integer(node.place.text)
    if node.kind in _WORDS:
        return _WORDS[node.kind]
    raise Failed(node.kind)


def _list(node: tree.List, of: Callable[[tree.Expression], Value]) -> Value:
    pairs = is_associative(node)
    for item in node.items:
        if isinstance(item, tree.Pair) != pairs:
            expected = "'=>' and a value" if pairs else "no '=>'"
            raise ConfigError(f"expected {expected}, as in the items before", item.place)
    return tuple(map(of, node.items))


def _operation(node: tree.Operation, of: Callable[[tree.Expression], Value]) -> Value:
    value = of(node.first)
    for operator, operand in node.rest:
        right = of(operand)
        with faults_at(node.place):
            value = values.operate(operator, value, right)
    return value


def is_associative(node: tree.Expression) -> bool:
    """Tell whether the expression is written as a list of ``key => value``."""
    return isinstance(node, tree.List) and isinstance(next(iter(node.items), None), tree.Pair)
