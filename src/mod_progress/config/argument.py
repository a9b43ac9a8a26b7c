"""The arguments of directives: values that know where they stand, and for which directive."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

from mod_progress.config import tree
from mod_progress.config.errors import ConfigError, Place, nearest
from mod_progress.config.evaluation import errors_at, is_associative
from mod_progress.config.patterns import compile_expression, parse_pattern
from mod_progress.config.values import LARGEST, Value, type_of
from mod_progress.gateway.actions.conditions import Search
from mod_progress.gateway.actions.templates import Pattern
from mod_progress.options import OptionError

Result = TypeVar("Result")


@dataclass(frozen=True, slots=True)
class Argument:
    """The value that a directive takes, or a part of it where it is a list."""

    directive: str
    value: Value
    #: Where it stands; where there is no value, the place of the directive.
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
        """Return the argument of a call.

        As in lighttpd 2, ``a, b`` is the same as ``[a, b]``, and a list of one value is the same as
        that value. A list of ``key => value`` stays a list.
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
        """Return the error that the directive takes something else."""
        message = f"{self.directive} takes {takes}"
        if self.node is not None:
            message += f", not {type_of(self.value)}"
        return ConfigError(message, self.place)

    def nothing(self) -> None:
        """Check that there is no argument."""
        if self.node is not None:
            raise ConfigError(f"{self.directive} takes no argument", self.place)

    def flag(self) -> bool:
        """Return it as a boolean."""
        if not isinstance(self.value, bool):
            raise self.refuse("true or false")
        return self.value

    def integer(self, takes: str = "an integer", least: int = 0, most: int = LARGEST) -> int:
        """Return it as an integer from ``least`` to ``most``."""
        if not isinstance(self.value, int) or isinstance(self.value, bool):
            raise self.refuse(takes)
        if not least <= self.value <= most:
            bounds = f"{least} or more" if most == LARGEST else f"from {least} to {most}"
            message = f"{self.directive} takes {takes}, {bounds}, not {self.value}"
            raise ConfigError(message, self.place)
        return self.value

    def string(self, takes: str = "a string") -> str:
        """Return it as text; bytes that are not UTF-8 become surrogates."""
        if not isinstance(self.value, bytes):
            raise self.refuse(takes)
        return self.value.decode("utf-8", "surrogateescape")

    def path(self, takes: str = "a path") -> str:
        """Return it as a path that the system can take."""
        text = self.string(takes)
        if not text or "\0" in text:
            raise ConfigError(f"{self.directive} takes {takes}, not '{text}'", self.place)
        return text

    def pattern(self, takes: str = "a string", skip: int = 0, end: int | None = None) -> Pattern:
        """Return it as a pattern, without its first ``skip`` characters, and up to ``end``."""
        text = self.string(takes)
        with errors_at(self.place):
            return parse_pattern(text[skip:end], self.searches)

    def expression(self) -> re.Pattern[str]:
        """Return it as a regular expression."""
        text = self.string("a regular expression")
        with errors_at(self.place):
            return compile_expression(text)

    def raw_expression(self) -> re.Pattern[bytes]:
        """Return it as a regular expression for bytes as they came."""
        text = self.string("a regular expression")
        with errors_at(self.place):
            return compile_expression(text.encode("utf-8", "surrogateescape"))

    def choice(self, choices: Collection[str]) -> str:
        """Return it as one of several strings."""
        takes = " or ".join(f'"{choice}"' for choice in choices)
        text = self.string(takes)
        if text not in choices:
            message = f"{self.directive} takes {takes}, not '{text}'"
            raise ConfigError(message, self.place, hint=nearest(text, choices))
        return text

    def check(self, check: Callable[[object], Result]) -> Result:
        """Return what ``check`` returns for the value; an `OptionError` becomes a `ConfigError`."""
        if self.node is None:
            raise self.refuse("a value")
        text = isinstance(self.value, bytes)
        try:
            return check(self.string() if text else self.value)
        except OptionError as error:
            message = self.directive + str(error).removeprefix(error.name)
            raise ConfigError(message, self.place) from None

    def items(self) -> tuple[Argument, ...]:
        """Return the items of a list; a value that is no list is the only item."""
        if not isinstance(self.value, tuple):
            return (self,)
        nodes = self._item_nodes(len(self.value))
        return tuple(
            replace(self, value=value, node=node or self.node, place=(node or self).place)
            for value, node in zip(self.value, nodes, strict=True)
        )

    def inner_items(self) -> tuple[Argument, ...]:
        """Return the items; where there is one, and it is a list like ``[a => b]``, its items."""
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
