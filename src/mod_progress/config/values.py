"""The values of the language: what literals stand for, and what operators make of values.

As in lighttpd 2, strings are bytes, and integers have 64 bits. What is wrong raises
`UnplacedError`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fractions import Fraction

from mod_progress.config.errors import UnplacedError, nearest
from mod_progress.gateway.exchange import Action


@dataclass(frozen=True, slots=True)
class Actions:
    """A block of actions as a value."""

    run: Action


Value = bool | int | bytes | None | tuple["Value", ...] | Actions

_TYPES = {
    bool: "a boolean",
    int: "an integer",
    bytes: "a string",
    tuple: "a list",
    Actions: "a block of actions",
    type(None): "none",
}

SMALLEST, LARGEST = -(2**63), 2**63 - 1
_BEYOND = "the integer is beyond 64 bits"
#: Digits of the longest literal; the longest of 64 bits are shorter, but for zeros before them.
_MOST_DIGITS = 100

#: What operators make is bounded: ``a = a + a;`` in a few lines would take all memory. Bytes of a
#: string, values of a list, and lists that are within each other.
LONGEST_STRING = 1024**2
LONGEST_LIST = 100_000
DEEPEST_LIST = 100

#: What the unit of an integer multiplies it with: bytes, or seconds.
UNITS: dict[str, int | Fraction] = {
    **{f"{prefix}byte": 1024**power for power, prefix in enumerate(("", *"kmgtp"))},
    **{f"{prefix}bit": Fraction(1024**power, 8) for power, prefix in enumerate(("", *"kmgtp"))},
    "sec": 1,
    "min": 60,
    "hours": 3600,
    "days": 24 * 3600,
}

_INTEGER = re.compile(r"(0x[0-9A-Fa-f]+|0(?!x)[0-7]*|[1-9][0-9]*)[ \t]*([A-Za-z]*)").fullmatch
_DECIMAL = re.compile(rb"[+-]?[0-9]{1,19}").fullmatch
_ESCAPE = re.compile(r"\\(?:x([0-9A-Fa-f]{2})|(.))", re.DOTALL)
_ESCAPES = {"n": "\n", "r": "\r", "t": "\t", "\\": "\\", '"': '"', "'": "'"}


def type_of(value: Value) -> str:
    """Return the value's type as a message names it."""
    return _TYPES[type(value)]


def integer(literal: str) -> int:
    """Return what the digits, with or without a unit, stand for."""
    match = _INTEGER(literal)
    if match is None:
        forms = "decimal, octal behind 0 or hexadecimal behind 0x"
        raise UnplacedError(f"'{literal}' is no integer, {forms}; a string stands in quotes")
    digits, unit = match.groups()
    if len(digits) > _MOST_DIGITS:
        raise UnplacedError(_BEYOND)
    number = int(digits, 16 if digits[1:2] == "x" else 8 if digits[0] == "0" else 10)
    if unit and unit not in UNITS:
        longer = filter(lambda known: known.startswith(unit), UNITS)
        raise UnplacedError(f"'{unit}' is not a unit", next(longer, nearest(unit, UNITS)))
    return _in_range(int(number * UNITS.get(unit, 1)))


def string(literal: str) -> bytes:
    """Return what stands between the quotes, with escapes resolved.

    In a string with ``e`` before it, a backslash that starts no known escape is an error; in others
    it stays.
    """
    strict = literal.startswith("e")
    opening = 1 + strict

    def resolve(match: re.Match[str]) -> str:
        byte, character = match.groups()
        if byte:
            return bytes.fromhex(byte).decode("utf-8", "surrogateescape")
        if character in _ESCAPES:
            return _ESCAPES[character]
        if strict or character == "x":
            lacks = "two hexadecimal digits" if character == "x" else "a known escape character"
            part = (opening + match.start(), opening + match.end())
            raise UnplacedError(f"expected {lacks} behind the backslash", part=part)
        return match[0]

    return _ESCAPE.sub(resolve, literal[opening:-1]).encode("utf-8", "surrogateescape")


def written(value: Value) -> str:
    """Return the value as a configuration could write it; lists in square brackets."""
    pieces, size = [], 0
    for piece in _pieces(value, 0):
        pieces.append(piece)
        size += len(piece)
        if size > LONGEST_STRING:
            raise UnplacedError(f"the string is longer than {LONGEST_STRING} bytes")
    return "".join(pieces)


def _pieces(value: Value, depth: int) -> Iterator[str]:
    if isinstance(value, tuple):
        if depth == DEEPEST_LIST:
            raise UnplacedError(f"more than {DEEPEST_LIST} lists are within each other")
        for number, item in enumerate(value):
            yield ", " if number else "["
            yield from _pieces(item, depth + 1)
        yield "]" if value else "[]"
    elif isinstance(value, bytes):
        text = value.decode("utf-8", "surrogateescape")
        yield '"' + re.sub(r'[\\"]', r"\\\g<0>", text) + '"'
    elif isinstance(value, bool):
        yield "true" if value else "false"
    elif isinstance(value, int):
        yield str(value)
    else:
        yield "none" if value is None else "{ … }"


def operate(operator: str, left: Value, right: Value) -> Value:
    """Return ``left operator right``; integers divide towards zero, as in C."""
    if type(left) is int and type(right) is int:
        return _in_range(_ARITHMETIC[operator](left, right))
    if operator == "+":
        if isinstance(left, bytes) and isinstance(right, bytes):
            return _joined(left, right)
        if isinstance(left, tuple) and isinstance(right, tuple):
            return _appended(left, right)
    takes = "two integers, strings or lists" if operator == "+" else "two integers"
    raise UnplacedError(f"'{operator}' takes {takes}, not {type_of(left)} and {type_of(right)}")


def prefix(operator: str, value: Value) -> Value:
    """Return the value behind a sign, or cast to the type ``operator``."""
    if operator not in _PREFIXES:
        message = f"cast takes 'int' or 'string', not '{operator}'"
        raise UnplacedError(message, nearest(operator, ("int", "string")))
    return _PREFIXES[operator](value)


def _joined(left: bytes, right: bytes) -> bytes:
    if len(left) + len(right) > LONGEST_STRING:
        raise UnplacedError(f"the string is longer than {LONGEST_STRING} bytes")
    return left + right


def _appended(left: tuple[Value, ...], right: tuple[Value, ...]) -> tuple[Value, ...]:
    if len(left) + len(right) > LONGEST_LIST:
        raise UnplacedError(f"the list has more than {LONGEST_LIST} values")
    return left + right


def _in_range(number: int) -> int:
    if not SMALLEST <= number <= LARGEST:
        raise UnplacedError(_BEYOND)
    return number


def _divide(dividend: int, divisor: int) -> int:
    if divisor == 0:
        raise UnplacedError("division by zero")
    quotient = abs(dividend) // abs(divisor)
    return quotient if (dividend < 0) == (divisor < 0) else -quotient


def _negative(value: Value) -> Value:
    if type(value) is not int:
        raise UnplacedError(f"'-' takes an integer, not {type_of(value)}")
    return _in_range(-value)


def _inverse(value: Value) -> Value:
    if not isinstance(value, bool):
        raise UnplacedError(f"'!' takes a boolean, not {type_of(value)}")
    return not value


def _as_integer(value: Value) -> Value:
    if isinstance(value, bool | int):
        return int(value)
    if isinstance(value, bytes) and _DECIMAL(value):
        return _in_range(int(value))
    what = written(value) if isinstance(value, bytes) else type_of(value)
    raise UnplacedError(f"cast(int) takes a decimal integer in a string or a boolean, not {what}")


def _as_string(value: Value) -> Value:
    if isinstance(value, bytes):
        return value
    return written(value).encode("utf-8", "surrogateescape")


_ARITHMETIC: dict[str, Callable[[int, int], int]] = {
    "+": lambda left, right: left + right,
    "-": lambda left, right: left - right,
    "*": lambda left, right: left * right,
    "/": _divide,
}

_PREFIXES: dict[str, Callable[[Value], Value]] = {
    "-": _negative,
    "!": _inverse,
    "not": _inverse,
    "int": _as_integer,
    "string": _as_string,
}
