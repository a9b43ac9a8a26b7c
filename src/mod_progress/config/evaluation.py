"""Evaluates expressions of the syntax tree, while the configuration is read."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial

from mod_progress.config import tree, values
from mod_progress.config.errors import ConfigError, Place, UnplacedError
from mod_progress.config.scope import Failed, Scope
from mod_progress.config.values import Actions, Value

_WORDS: dict[str, Value] = {"TRUE": True, "FALSE": False, "NONE": None, "DEFAULT": None}

#: Compiles a block of actions that stands where a value does.
CompileBlock = Callable[[tree.Block], Actions]


@contextmanager
def errors_at(place: Place) -> Iterator[None]:
    """Turn an `UnplacedError` into the `ConfigError` at ``place``."""
    try:
        yield
    except UnplacedError as error:
        raise error.at(place) from None


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
            return _prefixed(node, of)
        case tree.Operation():
            return _operation(node, of)
        case tree.Reference():
            with errors_at(node.place):
                return scope[node.name]
        case tree.Literal():
            with errors_at(node.place):
                return _literal(node)


def _literal(node: tree.Literal) -> Value:
    if node.kind == "STRING":
        return values.string(node.place.text)
    if node.kind == "INTEGER":
        return values.integer(node.place.text)
    if node.kind in _WORDS:
        return _WORDS[node.kind]
    raise Failed(node.kind)


def _prefixed(node: tree.Prefixed, of: Callable[[tree.Expression], Value]) -> Value:
    """Apply the prefixes, the last one first."""
    value = of(node.operand)
    for prefix in reversed(node.prefixes):
        place = Place(node.place.source, prefix.place.start, node.place.end)
        with errors_at(place):
            value = values.prefix(prefix.operator, value)
    return value


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
        with errors_at(node.place):
            value = values.operate(operator, value, right)
    return value


def is_associative(node: tree.Expression) -> bool:
    """Tell whether the expression is written as a list of ``key => value``."""
    return isinstance(node, tree.List) and isinstance(next(iter(node.items), None), tree.Pair)
