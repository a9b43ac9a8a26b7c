"""The syntax tree of a configuration file: what was written, and where.

Nothing is evaluated yet: an integer is its digits, and a string has its quotes.
"""

from __future__ import annotations

from dataclasses import dataclass

from mod_progress.config.errors import Place


@dataclass(frozen=True, slots=True)
class Node:
    """A part of the file."""

    place: Place


# Values


@dataclass(frozen=True, slots=True)
class Literal(Node):
    """A number, a string or a word such as ``true``; ``kind`` is the grammar's name for it."""

    kind: str


@dataclass(frozen=True, slots=True)
class Reference(Node):
    """A name that stands for a value: of a variable or, in a test, of something of the request."""

    name: str


@dataclass(frozen=True, slots=True)
class List(Node):
    """Values in brackets, or the arguments of a call."""

    items: tuple[Expression, ...]


@dataclass(frozen=True, slots=True)
class Pair(Node):
    """``key => value``: another way to write the list ``[key, value]``."""

    key: Expression
    value: Expression


@dataclass(frozen=True, slots=True)
class Prefix(Node):
    """What stands before an operand: ``-``, ``!``, ``not``, or the type that it is cast to."""

    operator: str


@dataclass(frozen=True, slots=True)
class Prefixed(Node):
    """An operand with its prefixes, in the order in which they are written."""

    prefixes: tuple[Prefix, ...]
    operand: Expression


@dataclass(frozen=True, slots=True)
class Operation(Node):
    """Two or more operands, from left to right; ``rest`` has each with the operator before it."""

    first: Expression
    rest: tuple[tuple[str, Expression], ...]


@dataclass(frozen=True, slots=True)
class Block(Node):
    """Statements in braces, or those of a whole file."""

    statements: tuple[Statement, ...]


Expression = Literal | Reference | List | Pair | Prefixed | Operation | Block


# Statements


@dataclass(frozen=True, slots=True)
class Assignment(Node):
    """``[local|global] name = value;``; its place is that of the name."""

    scope: str
    name: str
    value: Expression


@dataclass(frozen=True, slots=True)
class Call(Node):
    """A directive with its arguments, or a variable that holds actions; placed at the name."""

    name: str
    arguments: List | None


@dataclass(frozen=True, slots=True)
class Setup(Node):
    """Statements of ``setup``, which run while the file is read."""

    statements: tuple[Assignment | Call, ...]


@dataclass(frozen=True, slots=True)
class Include(Node):
    """Other files, read at this point."""

    path: Expression


@dataclass(frozen=True, slots=True)
class Conditional(Node):
    """``if`` with its tests in order, and the block behind the last ``else``."""

    branches: tuple[tuple[Test, Block], ...]
    otherwise: Block | None


Statement = Assignment | Call | Setup | Include | Conditional


# Tests


@dataclass(frozen=True, slots=True)
class Comparison(Node):
    """A variable of the request, compared with a value; alone, it has no operator and no value."""

    variable: Reference
    key: Literal | None
    operator: str | None
    value: Expression | None


@dataclass(frozen=True, slots=True)
class Negation(Node):
    """``!test``."""

    test: Test


@dataclass(frozen=True, slots=True)
class Conjunction(Node):
    """Tests joined by ``and``."""

    tests: tuple[Test, ...]


@dataclass(frozen=True, slots=True)
class Disjunction(Node):
    """Tests joined by ``or``."""

    tests: tuple[Test, ...]


Test = Comparison | Negation | Conjunction | Disjunction
