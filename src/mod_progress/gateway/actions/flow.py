"""What a configuration compiles to: a tree of actions that run, in order, for each request.

An action changes the exchange. The first action that can answer the request puts a handler into
`Exchange.handler`. As in lighttpd 2, the actions after it still run.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from mod_progress.gateway.exchange import Action, Exchange

Condition = Callable[[Exchange], bool]


@dataclass(frozen=True, slots=True)
class ActionList:
    """Runs actions one after the other."""

    actions: tuple[Action, ...]

    def __call__(self, exchange: Exchange) -> None:
        """Run all of them, also after one has set the handler."""
        for action in self.actions:
            action(exchange)


@dataclass(frozen=True, slots=True)
class If:
    """Runs one action or another."""

    condition: Condition
    then: Action
    otherwise: Action | None = None

    def __call__(self, exchange: Exchange) -> None:
        """Ask the condition, once."""
        if self.condition(exchange):
            self.then(exchange)
        elif self.otherwise is not None:
            self.otherwise(exchange)


@dataclass(frozen=True, slots=True)
class Choose:
    """Runs the action of the first condition that holds: an `If` with many branches."""

    branches: tuple[tuple[Condition, Action], ...]
    otherwise: Action | None = None

    def __call__(self, exchange: Exchange) -> None:
        """Ask the conditions in order."""
        for condition, then in self.branches:
            if condition(exchange):
                then(exchange)
                return
        if self.otherwise is not None:
            self.otherwise(exchange)


def steps(action: Action | None) -> Iterator[Action]:
    """Yield the actions of a tree that do something, whatever they depend on."""
    parts: tuple[Action | None, ...]
    if isinstance(action, ActionList):
        parts = action.actions
    elif isinstance(action, If):
        parts = action.then, action.otherwise
    elif isinstance(action, Choose):
        parts = *(then for _, then in action.branches), action.otherwise
    else:
        if action is not None:
            yield action
        return
    for part in parts:
        yield from steps(part)
