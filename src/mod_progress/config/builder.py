# ruff: noqa: D102 - each method is for the rule of its name in the grammar
"""Builds the syntax tree from the parser's tree, which has the shape of the grammar."""

from __future__ import annotations

from typing import Any

from lark import Token, Transformer, v_args
from lark.tree import Meta

from mod_progress.config import tree
from mod_progress.config.errors import Place, Source


def place_of(source: Source, where: Meta | Token) -> Place:
    """Return the place of what the parser found."""
    assert where.start_pos is not None
    assert where.end_pos is not None
    return Place(source, where.start_pos, where.end_pos)


@v_args(meta=True)
class Builder(Transformer[Token, tree.Block]):
    """Builds one file's syntax tree; a method for each rule of the grammar."""

    def __init__(self, source: Source) -> None:
        super().__init__()
        self._source = source

    def _at(self, where: Meta | Token) -> Place:
        return place_of(self._source, where)

    def file(self, meta: Meta, statements: list[tree.Statement]) -> tree.Block:
        return tree.Block(Place(self._source, 0, len(self._source.text)), tuple(statements))

    def block(self, meta: Meta, statements: list[tree.Statement]) -> tree.Block:
        return tree.Block(self._at(meta), tuple(statements))

    def assignment(self, meta: Meta, children: list[Any]) -> tree.Assignment:
        scope, name, value = children
        return tree.Assignment(self._at(name), str(scope or ""), str(name), value)

    def call(self, meta: Meta, children: list[Any]) -> tree.Call:
        name, arguments = children
        return tree.Call(self._at(name), str(name), arguments)

    def setup(self, meta: Meta, statements: list[Any]) -> tree.Setup:
        return tree.Setup(self._at(meta), tuple(statements))

    def include(self, meta: Meta, children: list[Any]) -> tree.Include:
        return tree.Include(self._at(meta), children[0])

    def conditional(self, meta: Meta, children: list[Any]) -> tree.Conditional:
        *branches, otherwise = children
        return tree.Conditional(self._at(meta), tuple(branches), otherwise)

    def branch(self, meta: Meta, children: list[Any]) -> tuple[Any, ...]:
        return tuple(children)

    def array(self, meta: Meta, items: list[Any]) -> tree.List:
        return tree.List(self._at(meta), tuple(items))

    arguments = array

    def pair(self, meta: Meta, children: Any) -> tree.Pair:
        key, value = children
        return tree.Pair(self._at(meta), key, value)

    def operation(self, meta: Meta, children: Any) -> tree.Operation:
        first, *rest = children
        operators = map(str, rest[::2])
        pairs = tuple(zip(operators, rest[1::2], strict=True))
        return tree.Operation(self._at(meta), first, pairs)

    def prefix(self, meta: Meta, children: Any) -> tree.Prefix:
        return tree.Prefix(self._at(meta), str(children[0]))

    def prefixed(self, meta: Meta, children: Any) -> tree.Prefixed:
        *prefixes, operand = children
        return tree.Prefixed(self._at(meta), tuple(prefixes), operand)

    def literal(self, meta: Meta, children: Any) -> tree.Literal:
        return tree.Literal(self._at(meta), children[0].type)

    def reference(self, meta: Meta, children: Any) -> tree.Reference:
        return tree.Reference(self._at(meta), str(children[0]))

    def comparison(self, meta: Meta, children: Any) -> tree.Comparison:
        name, key, operator, value = children
        return tree.Comparison(
            self._at(meta),
            tree.Reference(self._at(name), str(name)),
            key and tree.Literal(self._at(key), key.type),
            operator and str(operator),
            value,
        )

    def negation(self, meta: Meta, children: Any) -> tree.Negation:
        return tree.Negation(self._at(meta), children[-1])

    def conjunction(self, meta: Meta, tests: Any) -> tree.Conjunction:
        return tree.Conjunction(self._at(meta), tuple(tests))

    def disjunction(self, meta: Meta, tests: Any) -> tree.Disjunction:
        return tree.Disjunction(self._at(meta), tuple(tests))
