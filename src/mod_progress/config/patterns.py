"""The syntax of patterns and of regular expressions: to the language both are strings."""

from __future__ import annotations

import re
import warnings
from collections.abc import Sequence
from typing import AnyStr

from mod_progress.config.errors import UnplacedError, nearest
from mod_progress.gateway.actions import conditions, templates
from mod_progress.gateway.actions.conditions import Search, Variable
from mod_progress.gateway.actions.templates import Part, Pattern

_PARTS = re.compile(
    r"""
    (?P<text> [^\\$%]+ )
    | \\ (?P<escaped> [\\?$%] )
    | \$ (?P<capture> [0-9] )
    | % (?P<outer> [0-9] )
    | %\{ (?P<encoded> enc: )? (?P<name> [^\[\]{}]* ) (?: \[ (?P<key> [^\[\]{}]+ ) \] )? \}
    """,
    re.VERBOSE,
)

_REQUEST = ("request.", "req.")

#: The variables, by what their names begin with.
_TABLES = dict.fromkeys(_REQUEST, conditions.VARIABLES) | dict.fromkeys(
    ("physical.", "phys."), conditions.PHYSICAL
)


def parse_pattern(text: str, searches: Sequence[Search]) -> Pattern:
    """Return the pattern. ``%1`` is filled in by the first of ``searches`` that finds something."""
    parts: list[bytes | Part] = []
    end = 0
    while end < len(text):
        match = _PARTS.match(text, end)
        if match is None:
            takes = r"one of %0 to %9, $0 to $9, %{req.path}, %{enc:req.path}, \%, \$, \? and \\"
            raise UnplacedError(f"expected {takes} in the pattern, at '{text[end:]}'")
        parts.append(_part(match, searches))
        end = match.end()
    return Pattern(tuple(parts))


def _part(match: re.Match[str], searches: Sequence[Search]) -> bytes | Part:
    if match["capture"]:
        return templates.capture(int(match["capture"]))
    if match["outer"]:
        return templates.outer_capture(int(match["outer"]), searches)
    if match["name"] is not None:
        key = None if match["key"] is None else templates.to_bytes(match["key"])
        part = templates.variable(find_variable(match["name"], key).read)
        return templates.encoded(part) if match["encoded"] else part
    return templates.to_bytes(match["text"] or match["escaped"])


def find_variable(name: str, key: bytes | None) -> Variable:
    """Return a variable of the request; ``key`` is what stands in brackets behind its name."""
    prefix = next(filter(name.startswith, _TABLES), "")
    short = name.removeprefix(prefix)
    if short == "header" and prefix in _REQUEST:
        if key is None:
            raise UnplacedError(f'{name} needs the name of a header field: {name}["Referer"]')
        return conditions.header(key)
    known = _TABLES.get(prefix, {})
    if short not in known:
        raise UnplacedError(f"a request has no variable '{name}'", nearest(name, _names(prefix)))
    if key is not None:
        raise UnplacedError(f"{name} takes nothing in brackets")
    return known[short]


def _names(prefix: str) -> list[str]:
    """Return the names that may have been meant, with this prefix or, without one, all."""
    prefixes = (prefix,) if prefix else ("req.", "phys.")
    names = [each + short for each in prefixes for short in _TABLES[each]]
    return [*names, *(each + "header" for each in prefixes if each in _REQUEST)]


def compile_expression(text: AnyStr) -> re.Pattern[AnyStr]:
    """Return the regular expression, in Python's syntax; its classes are those of ASCII."""
    try:
        with warnings.catch_warnings():
            # Python warns of what it may read in another way one day, such as POSIX classes.
            warnings.simplefilter("error")
            return re.compile(text, re.ASCII)
    except Exception as error:  # re.error, and what deep or huge expressions make of the compiler
        raise UnplacedError(f"bad regular expression: {error}") from None
