"""Compiles syntax trees to a site: runs setups, puts actions together, collects errors."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from mod_progress.config import tree
from mod_progress.config.actions import ACTIONS, OPTIONS
from mod_progress.config.argument import Argument
from mod_progress.config.conditions import ConditionCompiler
from mod_progress.config.directives import Run, Table
from mod_progress.config.draft import Draft, in_order
from mod_progress.config.errors import ConfigError, Source, UnplacedError
from mod_progress.config.evaluation import errors_at, evaluate
from mod_progress.config.files import File, find, read
from mod_progress.config.other_servers import meant_directive
from mod_progress.config.parser import DEEPEST, parse
from mod_progress.config.scope import Failed, Scope
from mod_progress.config.setups import SETUPS
from mod_progress.config.values import Actions, Value, type_of
from mod_progress.gateway.actions.conditions import Search
from mod_progress.gateway.actions.flow import Choose, Condition, If
from mod_progress.gateway.exchange import Action

#: Files that may be within each other: many times what a site's layout needs.
DEEPEST_INCLUDE = 16

#: Files, and characters, that are read in all: files that include two others each would be read
#: 65,536 times within that depth.
MOST_FILES = 4096
MOST_TEXT = 4 * 1024**2

#: Errors after which no more are looked for.
MOST_ERRORS = 100

_KEYWORDS = ("else", "if", "include", "setup")


@dataclass(frozen=True, slots=True)
class Context:
    """What is around a statement."""

    scope: Scope
    #: The regular expressions of the conditions around, the innermost first.
    searches: tuple[Search, ...] = ()
    #: The files that are being read, each included by the one before it.
    files: tuple[File, ...] = ()
    #: How many blocks are around, in all these files; each file counts as one.
    depth: int = 0


class Compiler:
    """Compiles a file, with all that it includes, into a draft."""

    def __init__(self) -> None:
        self.draft = Draft()
        self._errors: list[ConfigError] = []
        self._sources: list[Source] = []
        self._text_read = 0

    def file(self, path: Path, context: Context) -> Action:
        """Return what requests run through in a file.

        Raises `UnplacedError` where it cannot be read.
        """
        file = read(path)
        self._check_bounds(file, context)
        self._sources.append(file.source)
        block, errors = parse(file.source)
        self._errors += errors
        files = (*context.files, file)
        return self._block(block, replace(context, scope=Scope(context.scope), files=files))

    def _check_bounds(self, file: File, context: Context) -> None:
        if file.identity in (other.identity for other in context.files):
            chain = " includes ".join(str(each.path) for each in (*context.files, file))
            raise UnplacedError(f"a file includes itself: {chain}")
        if len(context.files) == DEEPEST_INCLUDE:
            raise UnplacedError(f"more than {DEEPEST_INCLUDE} files are within each other here")
        self._text_read += len(file.source.text)
        if len(self._sources) == MOST_FILES or self._text_read > MOST_TEXT:
            bounds = f"{MOST_FILES} files, or {MOST_TEXT} characters,"
            raise UnplacedError(f"more than {bounds} are read in all")

    def probe(self) -> None:
        """Try what the configuration needs of this machine; what is missing becomes errors."""
        for probe in self.draft.probes:
            try:
                probe.run()
            except UnplacedError as error:
                message = str(error)
                self._errors.append(ConfigError(message, probe.place, is_warning=probe.is_optional))

    @property
    def errors(self) -> list[ConfigError]:
        """All errors, in the order in which files are read, and once each."""
        order = {id(source): number for number, source in enumerate(self._sources)}

        def position(error: ConfigError) -> tuple[int, int]:
            assert error.place is not None
            return order[id(error.place.source)], error.place.start

        # A file that is included twice has its errors once.
        return list({str(error): error for error in sorted(self._errors, key=position)}.values())

    @contextmanager
    def _collecting(self) -> Iterator[None]:
        """Collect the error that is raised inside, so that what follows is compiled too."""
        try:
            yield
        except ConfigError as error:
            self._errors.append(error)
        except Failed:
            pass

    def _block(self, block: tree.Block, context: Context) -> Action:
        if context.depth > DEEPEST:
            message = f"more than {DEEPEST} blocks are within each other here"
            raise ConfigError(message, block.place)
        context = replace(context, depth=context.depth + 1)
        actions = []
        for statement in block.statements:
            if len(self._errors) > MOST_ERRORS:
                break
            with self._collecting():
                actions += self._statement(statement, context)
        return in_order(actions)

    def _statement(self, statement: tree.Statement, context: Context) -> list[Action]:
        match statement:
            case tree.Assignment():
                self._assign(statement, context)
            case tree.Setup():
                self._run_setup(statement, context)
            case tree.Include():
                return self._include(statement, context)
            case tree.Conditional():
                return [self._conditional(statement, context)]
            case tree.Call():
                return [self._action(statement, context)]
        return []

    def _evaluate(self, expression: tree.Expression, context: Context) -> Value:
        def compile_block(block: tree.Block) -> Actions:
            return Actions(self._block(block, replace(context, scope=Scope(context.scope))))

        return evaluate(expression, context.scope, compile_block)

    def _argument(self, call: tree.Call, context: Context) -> Argument:
        return Argument.of(call, lambda node: self._evaluate(node, context), context.searches)

    def _assign(self, statement: tree.Assignment, context: Context) -> None:
        value: Value | type[Failed] = Failed
        try:
            value = self._evaluate(statement.value, context)
        finally:
            with errors_at(statement.place):
                context.scope.assign(statement.scope, statement.name, value)

    def _run_setup(self, setup: tree.Setup, context: Context) -> None:
        for statement in setup.statements:
            with self._collecting():
                if isinstance(statement, tree.Assignment):
                    self._assign(statement, context)
                else:
                    self._set_up(statement, context)

    def _set_up(self, call: tree.Call, context: Context) -> None:
        argument = self._argument(call, context)
        if call.name in SETUPS:
            self._directive(SETUPS, call)(self.draft, argument)
        elif call.name in OPTIONS:
            self.draft.set_default(self._directive(OPTIONS, call)(argument))
        elif call.name in ACTIONS:
            raise ConfigError(f"{call.name} is for requests: it belongs outside setup", call.place)
        else:
            known = (*SETUPS, *OPTIONS)
            message = f"there is no directive '{call.name}' for setup"
            raise ConfigError(message, call.place, hint=meant_directive(call.name, known))

    def _action(self, call: tree.Call, context: Context) -> Action:
        if call.name in context.scope:
            return _stored_action(call, context.scope)
        argument = self._argument(call, context)
        if call.name in ACTIONS:
            return self._directive(ACTIONS, call)(self.draft, argument)
        if call.name in OPTIONS:
            return self._directive(OPTIONS, call)(argument)
        if call.name in SETUPS:
            raise ConfigError(f"{call.name} belongs in setup", call.place)
        known = (*ACTIONS, *OPTIONS, *SETUPS, *context.scope.names(), *_KEYWORDS)
        message = f"there is no directive '{call.name}'"
        raise ConfigError(message, call.place, hint=meant_directive(call.name, known))

    def _directive(self, table: Table[Run], call: tree.Call) -> Run:
        """Return what a directive does; raises `ConfigError` where its module is not loaded."""
        directive = table[call.name]
        module = directive.module
        if module and module not in self.draft.modules:
            # One error for each module is enough.
            self.draft.modules.add(module)
            message = f'{call.name} needs module_load "{module}"; in setup, before it'
            raise ConfigError(message, call.place)
        return directive.run

    def _conditional(self, statement: tree.Conditional, context: Context) -> Action:
        branches: list[tuple[Condition, Action]] = []
        for test, block in statement.branches:
            compiler = ConditionCompiler(partial(self._evaluate, context=context))
            condition = None
            with self._collecting():
                condition = compiler.compile(test)
            context = replace(context, searches=(*compiler.searches, *context.searches))
            action = self._block(block, context)
            if condition is not None:
                branches.append((condition, action))
        otherwise = self._block(statement.otherwise, context) if statement.otherwise else None
        if len(branches) == 1:
            return If(*branches[0], otherwise)
        return Choose(tuple(branches), otherwise)

    def _include(self, statement: tree.Include, context: Context) -> list[Action]:
        pattern = self._evaluate(statement.path, context)
        place = statement.path.place
        if not isinstance(pattern, bytes):
            raise ConfigError(f"include takes a path, not {type_of(pattern)}", place)
        directory = context.files[-1].path.parent
        with errors_at(place):
            paths = find(pattern.decode("utf-8", "surrogateescape"), directory)
        actions = []
        for path in paths:
            with self._collecting(), errors_at(place):
                actions.append(self.file(path, context))
        return actions


def _stored_action(call: tree.Call, scope: Scope) -> Action:
    value = scope[call.name]
    if not isinstance(value, Actions):
        message = f"'{call.name}' is a variable that holds {type_of(value)}, not a block of actions"
        raise ConfigError(message, call.place)
    if call.arguments is not None:
        raise ConfigError(f"'{call.name}' takes no argument", call.arguments.place)
    return value.run
