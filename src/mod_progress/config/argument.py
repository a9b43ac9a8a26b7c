"""What a directive is given: values that know where they stand and who takes them."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

from mod_progress.config import tree
from mod_progress.config.errors import ConfigError, Place, nearest
from mod_progress.config.evaluation import faults_at, is_associative
from mod_progress.config.patterns import compile_expression, parse_pattern
from mod_progress.config.values import Value, type_of
from mod_progress.gateway.actions.conditions import Search
from mod_progress.gateway.actions.templates import Pattern
from mod_progress.options import OptionError

Result = TypeVar("Result")


@dataclass(frozen=True, slots=True)
class Argument:
    """The one value that a directive takes, which may be a list, or a part of it."""

    directive: str
    value: Value
    #: Where it stands; that of the directive where there is none.
    place: Place
    node: tree.Expression | None = None
    #: The regular expressions of the conditions around, the innermost first.
    searches: tuple[Search, ...] = ()

    @classmethod
    def of(
        cls,
        call: tree.Call,
        evaluate: Callable[[tree.Expression], Value],
        searches: Sequence[Search] = (),
    ) -> Argument:
        """Return what a call gives its directive.

        As in the original, ``a, b`` is the same as ``[a, b]``, and a list of one value the same as
        that value; a list of ``key => value`` stays as it is.
        """
        node: tree.Expression | None = call.arguments
        if call.arguments and not is_associative(call.arguments) and len(call.arguments.items) == 1:
            node = call.arguments.items[0]
        if node is None:
            return cls(call.name, None, call.place)
        argument = cls(call.name, evaluate(node), node.place, node, tuple(searches))
        single = isinstance(argument.value, tuple) and len(argument.value) == 1
        return argument.items()[0] if single and not is_associative(node) else argument

    def refuse(self, takes: str) -> ConfigError:
        """Return the error that it is something else than what the directive takes."""
        message = f"{self.directive} takes {takes}"
        if self.node is not None:
            message += f", not {type_of(self.value)}"
        return ConfigError(message, self.place)

    def nothing(self) -> None:
        """Check that there is none."""
        if self.node is not None:
            raise ConfigError(f"{self.directive} takes no argument", self.place)

    def flag(self) -> bool:
        """Return it as a boolean."""
        if not isinstance(self.value, bool):
            raise self.refuse("true or false")
        return self.value

    def integer(self, takes: str = "an integer", least: int = 0) -> int:
        """Return it as an integer, ``least`` or more."""
        if not isinstance(self.value, int) or isinstance(self.value, bool):
            raise self.refuse(takes)
        if self.value < least:
            message = f"{self.directive} takes {takes}, {least} or more, not {self.value}"
            raise ConfigError(message, self.place)
        return self.value

    def string(self, takes: str = "a string") -> str:
        """Return it as text; bytes that are not UTF-8 become surrogates."""
        if not isinstance(self.value, bytes):
            raise self.refuse(takes)
        return self.value.decode("utf-8", "surrogateescape")

    def path(self, takes: str = "a path") -> str:
        """Return it as a path, for the system's use."""
        text = self.string(takes)
        if not text or "\0" in text:
            raise ConfigError(f"{self.directive} takes {takes}, not '{text}'", self.place)
        return text

    def pattern(self, takes: str = "a string", skip: int = 0) -> Pattern:
        """Return it, behind its first ``skip`` characters, as a pattern."""
        text = self.string(takes)
        with faults_at(self.place):
            return parse_pattern(text[skip:], self.searches)

    def expression(self) -> re.Pattern[str]:
        """Return it as a regular expression."""
        text = self.string("a regular expression")
        with faults_at(self.place):
            return compile_expression(text)

    def choice(self, choices: Collection[str]) -> str:
        """Return it as one of several strings."""
        takes = " or ".join(f'"{choice}"' for choice in choices)
        text = self.string(takes)
        if text not in choices:
            message = f"{self.directive} takes {takes}, not '{text}'"
            raise ConfigError(message, self.place, hint=nearest(text, choices))
        return text

    def check(self, check: Callable[[object], Result]) -> Result:
        """Return what ``check`` makes of the value; its `OptionError` becomes a `ConfigError`."""
        if self.node is None:
            raise self.refuse("a value")
        text = isinstance(self.value, bytes)
        try:
            return check(self.string() if text else self.value)
        except OptionError as error:
            message = self.directive + str(error).removeprefix(error.name)
            raise ConfigError(message, self.place) from None

    def items(self) -> tuple[Argument, ...]:
        """Return the items of a list; anything else alone."""
        if not isinstance(self.value, tuple):
            return (self,)
        nodes = self._item_nodes(len(self.value))
        return tuple(
            replace(self, value=value, node=node or self.node, place=(node or self).place)
            for value, node in zip(self.value, nodes, strict=True)
        )

    def inner_items(self) -> tuple[Argument, ...]:
        """Return the items; those of the one item, where that is a list, as ``[a => b]`` is."""
        items = self.items()
        return items[0].items() if len(items) == 1 else items

    def pairs(self, takes: str) -> tuple[tuple[Argument, Argument], ...]:
        """Return the keys and values of ``[key => value, …]``."""
        pairs = [item.items() for item in self.items() if isinstance(item.value, tuple)]
        if any(len(pair) != 2 for pair in pairs) or len(pairs) != len(self.items()):
            raise self.refuse(takes)
        return tuple((key, value) for key, value in pairs)

    def _item_nodes(self, count: int) -> Sequence[tree.Expression | None]:
        nodes: tuple[tree.Expression, ...] = ()
        if isinstance(self.node, tree.List):
            nodes = self.node.items
        elif isinstance(self.node, tree.Pair):
            nodes = (self.node.key, self.node.value)
        return nodes if len(nodes) == count else (None,) * count
