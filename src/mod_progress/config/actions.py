"""The directives that each request runs through: actions and options."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import partial
from pathlib import Path

from mod_progress.config import probes
from mod_progress.config.argument import Argument
from mod_progress.config.changes import OPERATIONS, edit_header, rewrite, rewrite_raw, rules
from mod_progress.config.directives import Table
from mod_progress.config.draft import Draft
from mod_progress.config.errors import ConfigError
from mod_progress.config.evaluation import errors_at
from mod_progress.config.files import read
from mod_progress.gateway.actions.answers import (
    Deny,
    Redirect,
    RedirectRule,
    Respond,
    RespondPattern,
    Target,
)
from mod_progress.gateway.actions.basic_auth import (
    DEFAULT_REALM,
    BasicAuth,
    PasswordFileError,
    parse_passwords,
)
from mod_progress.gateway.actions.cancel import Cancel
from mod_progress.gateway.actions.dashboard import Dashboard
from mod_progress.gateway.actions.dump import Dump
from mod_progress.gateway.actions.health import Health
from mod_progress.gateway.actions.origins import AllowOrigins
from mod_progress.gateway.actions.same_origin import SameOrigin
from mod_progress.gateway.actions.script import Script
from mod_progress.gateway.actions.templates import Pattern
from mod_progress.gateway.actions.tracking import SetOptions, Show, Track
from mod_progress.gateway.address import AddressError, parse_address
from mod_progress.gateway.backends.actions import BufferRequestBody, Proxy
from mod_progress.gateway.backends.fastcgi import FastCgiBackend
from mod_progress.gateway.backends.http import HttpBackend
from mod_progress.gateway.backends.scgi import ScgiBackend
from mod_progress.gateway.backends.uwsgi import UwsgiBackend
from mod_progress.gateway.exchange import Action
from mod_progress.gateway.files.path_info import PathInfo
from mod_progress.gateway.files.static import Docroot, Index, Static
from mod_progress.gateway.files.upload_limits import DEFAULT_LIMITS, UNBOUNDED, UploadLimits
from mod_progress.gateway.files.uploads import StoreUploads
from mod_progress.gateway.files.x_sendfile import XSendfile
from mod_progress.gateway.http.edits import Operation
from mod_progress.options import check_methods
from mod_progress.show.dump import DUMP, Permission
from mod_progress.show.formats import FORMATS, JSON
from mod_progress.show.origins import Origins

ACTIONS = Table[Callable[[Draft, Argument], Action]]()
OPTIONS = Table[Callable[[Argument], Action]]()

#: The statuses of final responses (RFC 9110, section 15).
_STATUSES = range(200, 600)

#: The formats of all transfers.
_DUMPS = {DUMP: Permission.CUT_IDS, f"{DUMP}-ids": Permission.WHOLE_IDS}

_HOST_NAME = re.compile(r"[a-z0-9_-]+(?:\.[a-z0-9_-]+)*").fullmatch

#: How a redirect's target starts, and what of the request's URL it replaces then.
_TARGETS = {"./": Target.SIBLING, "/": Target.PATH, "?": Target.QUERY}


@OPTIONS.add("progress.methods", "mod_progress")
def _methods(argument: Argument) -> Action:
    methods = [item.check(check_methods) for item in argument.items()]
    return SetOptions(methods=frozenset().union(*methods))


@OPTIONS.add("progress.debug", "mod_progress")
def _debug(argument: Argument) -> Action:
    return SetOptions(debug=argument.flag())


@OPTIONS.add("progress.server_timing", "mod_progress")
def _server_timing(argument: Argument) -> Action:
    return SetOptions(server_timing=argument.flag())


@OPTIONS.add("progress.allow_origins", "mod_progress")
def _allow_origins(argument: Argument) -> Action:
    takes = '"*", or origins such as "https://example.com"'
    origins = {item.string(takes): item for item in argument.items()}
    for origin, item in origins.items():
        item.check(lambda _, origin=origin: Origins(origin))  # type: ignore[misc]
    return AllowOrigins(Origins(origins))


@OPTIONS.add("io.buffer_request_body")
@OPTIONS.add("buffer_request_body")
def _buffer_request_body(argument: Argument) -> Action:
    return BufferRequestBody(argument.flag())


def _without_argument(name: str, action: Action, module: str = "") -> None:
    def make(draft: Draft, argument: Argument) -> Action:
        argument.nothing()
        return action

    ACTIONS.add(name, module)(make)


_without_argument("progress.health", Health(), "mod_progress")
_without_argument("progress.script", Script(), "mod_progress")
_without_argument("pathinfo", PathInfo())
_without_argument("access.deny", Deny(), "mod_access")


@ACTIONS.add("progress.metrics", "mod_progress")
def _metrics(draft: Draft, argument: Argument) -> Action:
    argument.nothing()
    try:
        from mod_progress.gateway.actions.metrics import Metrics
    except ModuleNotFoundError:
        message = "progress.metrics needs an extra: pip install 'mod-progress[metrics]'"
        raise ConfigError(message, argument.place) from None
    return Metrics()


@ACTIONS.add("progress.track", "mod_progress")
def _track(draft: Draft, argument: Argument) -> Action:
    return Track() if argument.node is None else Track(_id_expression(argument))


@ACTIONS.add("progress.show", "mod_progress")
def _show(draft: Draft, argument: Argument) -> Action:
    word, expression = _split_expression(argument)
    name = JSON.name if word is None else word.choice([*FORMATS, *_DUMPS])
    if name not in _DUMPS:
        return Show(FORMATS[name], expression)
    if expression is not None:
        raise ConfigError(f'progress.show "{name}" is about all transfers', argument.place)
    return Dump(_DUMPS[name])


@ACTIONS.add("progress.cancel", "mod_progress")
def _cancel(draft: Draft, argument: Argument) -> Action:
    word, expression = _split_expression(argument)
    if word is not None:
        word.choice(["any"])
    return Cancel(any=word is not None, expression=expression)


def _split_expression(argument: Argument) -> tuple[Argument | None, re.Pattern[bytes] | None]:
    """Return the word and the expression that a directive takes, each if it is there.

    The expression comes last. It has a group, and no word has a parenthesis.
    """
    if argument.value is None:
        return None, None
    *words, last = argument.items() or (argument,)
    if not (isinstance(last.value, bytes) and b"(" in last.value):
        return argument, None
    if len(words) > 1:
        raise argument.refuse("one word and one expression")
    return words[0] if words else None, _id_expression(last)


def _id_expression(argument: Argument) -> re.Pattern[bytes]:
    """Return it as an expression that finds an id in a path."""
    expression = argument.raw_expression()
    if not expression.groups:
        takes = 'an expression with a group for the id, such as "^/upload/([^/]+)$"'
        raise ConfigError(f"{argument.directive} takes {takes}", argument.place)
    return expression


@ACTIONS.add("progress.dashboard", "mod_progress")
def _dashboard(draft: Draft, argument: Argument) -> Action:
    if argument.value is not None:
        argument.choice(["cancel"])
        return Dashboard(cancels=True)
    return Dashboard()


@ACTIONS.add("access.same_origin", "mod_access")
def _same_origin(draft: Draft, argument: Argument) -> Action:
    if argument.value is None:
        return SameOrigin()
    return SameOrigin(frozenset(_host(item) for item in argument.items()))


def _host(argument: Argument) -> bytes:
    """Return the name of a host, as `SameOrigin` takes it."""
    takes = 'nothing, or names of hosts such as "www.example.com"'
    host = argument.string(takes).lower()
    if _HOST_NAME(host) is None:
        raise ConfigError(f"{argument.directive} takes {takes}, not '{host}'", argument.place)
    return host.encode()


@ACTIONS.add("auth.basic", "mod_auth")
def _basic_auth(draft: Draft, argument: Argument) -> Action:
    takes = "the path of a file by htpasswd -B, and perhaps the name of the realm"
    file, *realm = argument.items() or (argument,)
    if len(realm) > 1:
        raise argument.refuse(takes)
    path = file.path(takes)
    with errors_at(file.place):
        text = read(Path(path)).source.text.encode("utf-8", "surrogateescape")
    try:
        hashes = parse_passwords(text)
    except PasswordFileError as error:
        raise ConfigError(f"cannot use {path}: {error}", file.place) from None
    name = realm[0].string(takes) if realm else DEFAULT_REALM
    if not name.isprintable():
        raise ConfigError(f"{argument.directive} takes {takes}, not '{name}'", realm[0].place)
    return BasicAuth(hashes, name)


@ACTIONS.add("static")
def _static(draft: Draft, argument: Argument) -> Action:
    argument.nothing()
    return Static(draft.uploads)


@ACTIONS.add("upload.store", "mod_progress")
def _store_uploads(draft: Draft, argument: Argument) -> Action:
    directory, *settings = argument.items() or (argument,)
    path = directory.path("the path of a directory")
    if len(settings) > 1:
        raise settings[1].refuse("a directory and one list of limits")
    draft.uploads.add(path)
    draft.expect(directory.place, partial(probes.creatable_directory, path))
    return StoreUploads(path, _upload_limits(settings[0]) if settings else DEFAULT_LIMITS)


def _upload_limits(argument: Argument) -> UploadLimits:
    takes = f'limits such as ["form_files" => {DEFAULT_LIMITS.form_files}]'
    limits = DEFAULT_LIMITS
    for key, value in argument.pairs(takes):
        name = key.choice(UploadLimits._fields)
        least = 0 if name in UNBOUNDED else 1
        limits = limits._replace(**{name: value.integer(f"an integer for {name}", least=least)})
    return limits


@ACTIONS.add("proxy", "mod_proxy")
def _proxy(draft: Draft, argument: Argument) -> Action:
    return Proxy(draft.backend(HttpBackend, _backend_address(draft, argument)))


@ACTIONS.add("fastcgi", "mod_fastcgi")
def _fastcgi(draft: Draft, argument: Argument) -> Action:
    address, *settings = argument.items() or (argument,)
    if len(settings) > 1:
        raise settings[1].refuse("an address and one list of settings")
    keep_alive = bool(settings) and _keep_alive(settings[0])
    return Proxy(draft.backend(FastCgiBackend, _backend_address(draft, address), keep_alive))


def _keep_alive(settings: Argument) -> bool:
    keep_alive = False
    for key, value in settings.pairs('settings such as ["keep_alive" => true]'):
        key.choice(("keep_alive",))
        keep_alive = value.flag()
    return keep_alive


@ACTIONS.add("scgi", "mod_scgi")
def _scgi(draft: Draft, argument: Argument) -> Action:
    return Proxy(draft.backend(ScgiBackend, _backend_address(draft, argument)))


@ACTIONS.add("uwsgi", "mod_uwsgi")
def _uwsgi(draft: Draft, argument: Argument) -> Action:
    return Proxy(draft.backend(UwsgiBackend, _backend_address(draft, argument)))


def _backend_address(draft: Draft, argument: Argument) -> str:
    """Return the address of a backend, which need not be there yet."""
    text = argument.string('"host:port" or "unix:/path"')
    try:
        address = parse_address(text)
    except AddressError as error:
        raise ConfigError(f"{argument.directive}: {error}", argument.place) from None
    draft.expect(argument.place, partial(probes.resolvable, address))
    return text


@ACTIONS.add("docroot")
def _docroot(draft: Draft, argument: Argument) -> Action:
    takes = "the path of a directory"
    directory = argument.pattern(takes).constant
    if not directory or b"\0" in directory:
        raise ConfigError(f"docroot takes {takes}, the same for all requests", argument.place)
    path = directory.decode("utf-8", "surrogateescape")
    draft.expect(argument.place, partial(probes.directory, path))
    return Docroot(path)


@ACTIONS.add("index")
def _index(draft: Draft, argument: Argument) -> Action:
    return Index(tuple(item.path("names of files") for item in argument.items()))


@ACTIONS.add("core.xsendfile")
def _sendfile(draft: Draft, argument: Argument) -> Action:
    directories = []
    for item in argument.items():
        directories.append(item.path("paths of directories"))
        draft.expect(item.place, partial(probes.directory, directories[-1]))
    return XSendfile(tuple(directories))


@ACTIONS.add("respond")
def _respond(draft: Draft, argument: Argument) -> Action:
    takes = 'a status, a text, or both: 404 => "text"'
    if argument.value is None:
        return Respond(200)
    first, *rest = argument.inner_items() or (argument,)
    status, text = 200, Pattern(())
    if isinstance(first.value, bytes):
        rest = [first, *rest]
    else:
        status = first.integer(takes)
        if status not in _STATUSES:
            message = f"respond takes a status from 200 to 599, not {status}"
            raise ConfigError(message, first.place)
    if len(rest) > 1:
        raise argument.refuse(takes)
    for argument in rest:
        text = argument.pattern(takes)
    body = text.constant
    return RespondPattern(status, text) if body is None else Respond(status, body)


@ACTIONS.add("redirect", "mod_redirect")
def _redirect(draft: Draft, argument: Argument) -> Action:
    pairs = rules(argument, 'a URL, "expression" => "URL", or a list of those')
    return Redirect(tuple(_redirect_rule(target, expression) for expression, target in pairs))


def _redirect_rule(target: Argument, expression: Argument | None) -> RedirectRule:
    text = target.string('a URL, "expression" => "URL", or a list of those')
    start = next(filter(text.startswith, _TARGETS), "")
    pattern = target.pattern(skip=len("./") if start == "./" else 0)
    return RedirectRule(
        pattern,
        _TARGETS.get(start, Target.URL),
        expression.expression() if expression else None,
    )


@ACTIONS.add("rewrite", "mod_rewrite")
def _rewrite(draft: Draft, argument: Argument) -> Action:
    return rewrite(argument)


@ACTIONS.add("rewrite_raw", "mod_rewrite")
def _rewrite_raw(draft: Draft, argument: Argument) -> Action:
    return rewrite_raw(argument)


def _edit_header(
    operation: Operation, in_request: bool, draft: Draft, argument: Argument
) -> Action:
    return edit_header(operation, argument, in_request=in_request)


for _name, _operation in OPERATIONS.items():
    ACTIONS.add(f"header.{_name}")(partial(_edit_header, _operation, False))
    ACTIONS.add(f"req_header.{_name}")(partial(_edit_header, _operation, True))
