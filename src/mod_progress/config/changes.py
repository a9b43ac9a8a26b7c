"""The directives that change a request or its response: `rewrite`, `header.…`, `req_header.…`."""

from __future__ import annotations

import re

from mod_progress.config.argument import Argument
from mod_progress.config.errors import ConfigError
from mod_progress.gateway.actions.headers import EditRequest, EditResponse
from mod_progress.gateway.actions.rewrite import RawRewriteRule, Rewrite, RewriteRule
from mod_progress.gateway.actions.templates import Pattern
from mod_progress.gateway.http.edits import Operation, has_control, is_editable, is_name
from mod_progress.gateway.http.target import is_host

#: The operations by the names that lighttpd 2 gives them; ``set`` is another one for the third.
OPERATIONS = {
    "add": Operation.ADD,
    "append": Operation.APPEND,
    "overwrite": Operation.OVERWRITE,
    "set": Operation.OVERWRITE,
    "remove": Operation.REMOVE,
}

#: Finds the ``?`` at which a target's query begins, behind all that is escaped.
_QUERY = re.compile(r"((?:[^\\?]|\\.)*)\?(.*)", re.DOTALL).fullmatch


def rules(argument: Argument, takes: str) -> list[tuple[Argument | None, Argument]]:
    """Return the expressions and targets of a directive that takes one rule, or several."""
    items = argument.inner_items()
    if len(items) == 1:
        return [(None, items[0])]
    if len(items) == 2 and all(isinstance(item.value, bytes) for item in items):
        return [items]
    return list(argument.pairs(takes))


def rewrite(argument: Argument) -> Rewrite:
    """Return the action `rewrite`."""
    takes = 'a path, "expression" => "path", or a list of those'
    return Rewrite(tuple(_rule(target, each, takes) for each, target in rules(argument, takes)))


def _rule(target: Argument, expression: Argument | None, takes: str) -> RewriteRule:
    text = target.string(takes)
    parted = _QUERY(text)
    query = None
    if parted is not None:
        query = target.pattern(skip=len(parted[1]) + 1)
    path = target.pattern(end=None if parted is None else len(parted[1]))
    return RewriteRule(path, query, expression.expression() if expression else None)


def rewrite_raw(argument: Argument) -> Rewrite:
    """Return the action `rewrite_raw`."""
    takes = 'a target, "expression" => "target", or a list of those'
    return Rewrite(
        tuple(
            RawRewriteRule(target.pattern(takes), each.raw_expression() if each else None)
            for each, target in rules(argument, takes)
        )
    )


def edit_header(
    operation: Operation, argument: Argument, *, in_request: bool
) -> EditRequest | EditResponse:
    """Return the action that changes a field of the response, or of the request."""
    takes = '"name" => "value"'
    make = EditRequest if in_request else EditResponse
    if operation is Operation.REMOVE:
        name = _name(argument, "the name of a field", operation, in_request)
        return make(operation, name, Pattern(()))
    items = argument.inner_items()
    if len(items) != 2:
        raise argument.refuse(takes)
    name = _name(items[0], takes, operation, in_request)
    value = items[1].pattern(takes)
    _check_value(name, value, items[1])
    return make(operation, name, value)


def _name(argument: Argument, takes: str, operation: Operation, in_request: bool) -> bytes:
    text = argument.string(takes)
    name = text.encode("utf-8", "surrogateescape")
    directive = argument.directive
    if not is_name(name):
        raise ConfigError(f"{directive}: '{text}' is not the name of a field", argument.place)
    if not is_editable(name, in_request=in_request):
        raise ConfigError(f"{directive}: the gateway writes {text} itself", argument.place)
    if in_request and name.lower() == b"host" and operation is not Operation.OVERWRITE:
        message = f"{directive}: a request has one Host: use req_header.overwrite"
        raise ConfigError(message, argument.place)
    return name


def _check_value(name: bytes, value: Pattern, argument: Argument) -> None:
    """Check what is the same for all requests; what these bring is encoded where it has to be."""
    directive, constant = argument.directive, value.constant
    if any(has_control(part) for part in value.parts if isinstance(part, bytes)):
        message = f"{directive}: a value has no line end and no other control character"
        raise ConfigError(message, argument.place)
    if name.lower() == b"host" and constant is not None and not is_host(constant):
        raise ConfigError(f"{directive}: '{argument.string()}' is not a host", argument.place)
