"""The directives of setup, which say how the gateway runs."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import fields, replace
from functools import partial

from mod_progress.config import probes
from mod_progress.config.argument import Argument
from mod_progress.config.conditions import parse_network
from mod_progress.config.directives import MODULES, Table
from mod_progress.config.draft import Draft
from mod_progress.config.errors import ConfigError, nearest
from mod_progress.config.evaluation import errors_at
from mod_progress.gateway.address import Address, AddressError, parse_listen_address
from mod_progress.gateway.http.heads import TOKEN
from mod_progress.gateway.limits import Limits
from mod_progress.gateway.server.listening import ListenError, tls_context
from mod_progress.gateway.server.site import MOST_WORKERS, AccessLog, Listener, Tls
from mod_progress.options import check_ttl
from mod_progress.stores import open_store

SETUPS = Table[Callable[[Draft, Argument], None]]()

#: A protocol's name, and perhaps its version (RFC 9110, section 7.8).
_PROTOCOL = re.compile(TOKEN + b"(?:/" + TOKEN + b")?").fullmatch
_HTTP, _HTTPS = 80, 443

#: What the names of modules begin with.
_PREFIX = "mod_"

#: Limits that may be 0, which means "none" or "no limit". Another limit of 0 would let nothing
#: through.
_ZERO_LIMITS = frozenset(
    "body_size body_least_rate response_least_rate per_address idle_time tunnel_idle_time"
    " upstream_idle pipelined_size linger_time linger_size drain_time".split()
)

#: Directives of lighttpd 2, and the limits that they set here.
_LIMIT_NAMES = {
    "io.timeout": ("body_idle_time", "upstream_send_time", "upstream_read_time"),
    "keepalive.timeout": ("idle_time",),
}


@SETUPS.add("module_load")
def _module_load(draft: Draft, argument: Argument) -> None:
    # A module whose name is misspelt counts as loaded: one error, and none for each directive.
    strings = [item.string() for item in argument.items() if isinstance(item.value, bytes)]
    draft.modules.update(_nearest_module(name) for name in strings)
    for item in argument.items():
        name = item.string("the name of a module")
        if name not in MODULES:
            message = f"there is no module '{name}'; there are {', '.join(MODULES)}"
            raise ConfigError(message, item.place, hint=_nearest_module(name))


def _nearest_module(name: str) -> str:
    """Return the module that was probably meant, or an empty string.

    What all names begin with makes no two of them alike.
    """
    near = nearest(name.removeprefix(_PREFIX), (each.removeprefix(_PREFIX) for each in MODULES))
    return near and _PREFIX + near


@SETUPS.add("listen")
def _listen(draft: Draft, argument: Argument) -> None:
    for item in argument.items():
        _listen_on(draft, item, _HTTP)


def _listen_on(draft: Draft, argument: Argument, port: int, tls: Tls | None = None) -> None:
    parsed = _address(argument, port)
    draft.require(argument.place, partial(probes.resolvable, parsed))
    address = str(parsed)
    if address in (listener.address for listener in draft.site.listeners):
        raise ConfigError(f"{address} is listened on already", argument.place)
    draft.site = replace(draft.site, listeners=(*draft.site.listeners, Listener(address, tls)))


def _address(argument: Argument, port: int) -> Address:
    """Return the address to listen on, with its port."""
    takes = 'an address such as "127.0.0.1:8080", "[::1]:80", "*:80", "unix:/path", "systemd:name"'
    try:
        return parse_listen_address(argument.string(takes), port)
    except AddressError as error:
        raise ConfigError(f"{argument.directive}: {error}", argument.place) from None


@SETUPS.add("openssl", "mod_openssl")
def _openssl(draft: Draft, argument: Argument) -> None:
    takes = '["listen" => "address", "pemfile" => "path"]'
    given: dict[str, list[Argument]] = {"listen": [], "pemfile": [], "privkey": []}
    for key, value in argument.pairs(takes):
        name = key.string("names of settings")
        if name not in given:
            message = f"openssl takes {', '.join(given)}, not '{name}'"
            raise ConfigError(message, key.place, hint=nearest(name, given))
        given[name].append(value)
    if not given["listen"] or not given["pemfile"]:
        raise argument.refuse(takes)
    pemfile = given["pemfile"][-1]
    tls = _tls(pemfile, given["privkey"][-1] if given["privkey"] else None)
    try:
        tls_context(tls)
    except ListenError as error:
        raise ConfigError(str(error), pemfile.place) from None
    for address in given["listen"]:
        _listen_on(draft, address, _HTTPS, tls)


def _tls(pemfile: Argument, privkey: Argument | None) -> Tls:
    """Return the certificate and its key. As in lighttpd 2 they may be in one file."""
    takes = 'a path, or ["cert" => "path", "key" => "path"]'
    if isinstance(pemfile.value, tuple):
        paths = {key.string(takes): value.path() for key, value in pemfile.pairs(takes)}
        if paths.keys() != {"cert", "key"}:
            raise pemfile.refuse(takes)
        return Tls(paths["cert"], paths["key"])
    certificate = pemfile.path(takes)
    return Tls(certificate, privkey.path() if privkey else certificate)


@SETUPS.add("workers")
def _workers(draft: Draft, argument: Argument) -> None:
    workers = argument.integer("a number of processes", least=1, most=MOST_WORKERS)
    draft.site = replace(draft.site, workers=workers)


@SETUPS.add("user")
def _user(draft: Draft, argument: Argument) -> None:
    user = argument.string("the name of a user")
    draft.require(argument.place, partial(probes.known_user, user))
    draft.site = replace(draft.site, user=user)


@SETUPS.add("group")
def _group(draft: Draft, argument: Argument) -> None:
    group = argument.string("the name of a group")
    draft.require(argument.place, partial(probes.known_group, group))
    draft.site = replace(draft.site, group=group)


@SETUPS.add("progress.ttl", "mod_progress")
def _ttl(draft: Draft, argument: Argument) -> None:
    ttl = argument.check(check_ttl)
    draft.site = replace(draft.site, options=replace(draft.site.options, ttl=ttl))


@SETUPS.add("progress.store", "mod_progress")
def _store(draft: Draft, argument: Argument) -> None:
    takes = '"local", "local:NAME", "memory", "redis://…", "env:NAME" or "file:/path"'
    store = argument.string(takes)
    argument.check(lambda _: open_store(store).close())
    draft.site = replace(draft.site, store=store)


@SETUPS.add("accesslog", "mod_accesslog")
def _access_log(draft: Draft, argument: Argument) -> None:
    path = argument.path()
    draft.expect(argument.place, partial(probes.writable_file, path))
    draft.site = replace(draft.site, access_log=AccessLog(path))


@SETUPS.add("accesslog.format", "mod_accesslog")
def _access_log_format(draft: Draft, argument: Argument) -> None:
    draft.access_log_form = argument.choice(("combined", "json"))


@SETUPS.add("forwarded.trust")
def _trust(draft: Draft, argument: Argument) -> None:
    networks = []
    for item in argument.items():
        with errors_at(item.place):
            networks.append(parse_network(item.string("addresses and networks")))
    draft.site = replace(draft.site, trusted=(*draft.site.trusted, *networks))


@SETUPS.add("tunnel.protocols")
def _protocols(draft: Draft, argument: Argument) -> None:
    protocols = set()
    for item in argument.items():
        takes = 'names of protocols such as "websocket"'
        name = item.string(takes)
        raw = name.encode("utf-8", "surrogateescape")
        if _PROTOCOL(raw) is None:
            raise ConfigError(f"{item.directive} takes {takes}, not '{name}'", item.place)
        protocols.add(raw.lower())
    draft.site = replace(draft.site, tunnelled=frozenset(protocols))


def _limit(names: tuple[str, ...], draft: Draft, argument: Argument) -> None:
    least = 0 if _ZERO_LIMITS.issuperset(names) else 1
    value = argument.integer(least=least)
    limits = replace(draft.site.limits, **dict.fromkeys(names, value))
    draft.site = replace(draft.site, limits=limits)


for _name in (each.name for each in fields(Limits)):
    SETUPS.add(f"limits.{_name}")(partial(_limit, (_name,)))
for _name, _limits in _LIMIT_NAMES.items():
    SETUPS.add(_name)(partial(_limit, _limits))
