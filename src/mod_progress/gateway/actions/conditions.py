"""Conditions: what a configuration can ask of a request, each as one callable.

Conditions run for every request. So everything possible is done before: networks are parsed,
regular expressions are compiled, constants have the type of what they are compared with. Text is
compared as the request head holds it: the decoded path as `str` (bytes that are not UTF-8 as
surrogates), all else as `bytes`.
"""

from __future__ import annotations

import operator
import os
import re
from collections.abc import Callable, Sequence
from functools import lru_cache
from ipaddress import IPv4Network, IPv6Address, IPv6Network, ip_address
from typing import Any, NamedTuple

from mod_progress.gateway.actions.flow import Condition
from mod_progress.gateway.exchange import Exchange

Network = IPv4Network | IPv6Network

#: Searches a regular expression in the value of a variable.
Search = Callable[[Exchange], re.Match[str] | re.Match[bytes] | None]

#: Hosts and addresses that are remembered, since clients repeat them: no more than a megabyte.
_REMEMBERED = 1024
#: Characters of the longest one: strangers choose them. No address is longer, and few names are.
_LONGEST_REMEMBERED = 255


class Variable(NamedTuple):
    """Something that a request has: its type, and how it is read."""

    type: type[str] | type[bytes] | type[int] | type[bool]
    read: Callable[[Exchange], Any]


def _raw_path(exchange: Exchange) -> bytes:
    return exchange.request.target


def _path(exchange: Exchange) -> str:
    return exchange.request.path


def _query(exchange: Exchange) -> bytes:
    return exchange.request.query


def _method(exchange: Exchange) -> str:
    return exchange.request.method


def _host(exchange: Exchange) -> bytes:
    return host_name(exchange.request.host)


def host_name(host: bytes) -> bytes:
    """Return the name in a Host field: no port, no final dot, in lower case."""
    return _host_name(host) if len(host) <= _LONGEST_REMEMBERED else _read_host_name(host)


def _read_host_name(host: bytes) -> bytes:
    name, colon, port = host.rpartition(b":")
    if colon and (not port or port.isdigit()):
        host = name
    return host.rstrip(b".").lower()


_host_name = lru_cache(_REMEMBERED)(_read_host_name)


def _scheme(exchange: Exchange) -> str:
    return exchange.client.scheme


def _length(exchange: Exchange) -> int:
    size = exchange.request.body_size
    return -1 if size is None else size


def _remote_address(exchange: Exchange) -> str:
    return exchange.remote[0]


def _remote_port(exchange: Exchange) -> int:
    return exchange.remote[1]


def _local_address(exchange: Exchange) -> str:
    return exchange.client.local[0]


def _local_port(exchange: Exchange) -> int:
    return exchange.client.local[1]


def _is_handled(exchange: Exchange) -> bool:
    return exchange.handler is not None


def _file(exchange: Exchange) -> str:
    return exchange.physical_path or ""


def _docroot(exchange: Exchange) -> str:
    return exchange.docroot or ""


def _path_info(exchange: Exchange) -> str:
    return exchange.path_info


def _exists(exchange: Exchange) -> bool:
    return os.path.exists(_file(exchange))  # noqa: PTH110


def _is_file(exchange: Exchange) -> bool:
    return os.path.isfile(_file(exchange))  # noqa: PTH113


def _is_directory(exchange: Exchange) -> bool:
    return os.path.isdir(_file(exchange))  # noqa: PTH112


#: By the name behind ``request.`` or ``req.``.
VARIABLES = {
    "path": Variable(str, _path),
    "raw_path": Variable(bytes, _raw_path),
    "query": Variable(bytes, _query),
    "host": Variable(bytes, _host),
    "scheme": Variable(str, _scheme),
    "method": Variable(str, _method),
    "length": Variable(int, _length),
    "remoteip": Variable(str, _remote_address),
    "remoteport": Variable(int, _remote_port),
    "localip": Variable(str, _local_address),
    "localport": Variable(int, _local_port),
    "is_handled": Variable(bool, _is_handled),
}

#: By the name behind ``physical.`` or ``phys.``: the file that the path leads to.
PHYSICAL = {
    "path": Variable(str, _file),
    "docroot": Variable(str, _docroot),
    "pathinfo": Variable(str, _path_info),
    "exists": Variable(bool, _exists),
    "is_file": Variable(bool, _is_file),
    "is_dir": Variable(bool, _is_directory),
}


def header(name: bytes) -> Variable:
    """Return the variable that holds all values of a field, joined; empty where there is none."""
    key = name.lower()

    def read(exchange: Exchange) -> bytes:
        request = exchange.request
        if key not in request.named:
            return b""
        return b", ".join([value for field, value in request.fields if field.lower() == key])

    return Variable(bytes, read)


def truth(variable: Variable) -> Condition:
    """Ask whether a flag is set, a number is not 0, a text is not empty."""
    read = variable.read
    return read if variable.type is bool else lambda exchange: bool(read(exchange))


_COMPARISONS: dict[str, Callable[[Any, Any], bool]] = {
    "==": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}


def compare(variable: Variable, sign: str, value: str | bytes | int) -> Condition:
    """Compare with ``== != < <= > >=``; ``value`` has the variable's type."""
    read = variable.read
    if sign == "==":
        if read is _path:  # the question that most requests are asked
            return lambda exchange: exchange.request.path == value
        return lambda exchange: bool(read(exchange) == value)
    holds = _COMPARISONS[sign]
    return lambda exchange: holds(read(exchange), value)


def starts_with(variable: Variable, prefix: str | bytes) -> Condition:
    """Ask whether the text starts with ``prefix``."""
    read = variable.read
    return lambda exchange: bool(read(exchange).startswith(prefix))


def ends_with(variable: Variable, suffix: str | bytes) -> Condition:
    """Ask whether the text ends with ``suffix``."""
    read = variable.read
    return lambda exchange: bool(read(exchange).endswith(suffix))


def search(variable: Variable, expression: re.Pattern[Any]) -> Search:
    """Return what finds a regular expression anywhere in the text."""
    read, find = variable.read, expression.search
    return lambda exchange: find(read(exchange))


def found(find: Search) -> Condition:
    """Ask whether there is a match."""
    return lambda exchange: find(exchange) is not None


def within(variable: Variable, network: Network) -> Condition:
    """Ask whether the text is an address of the network. An IPv4 address may be mapped to IPv6."""
    read = variable.read

    @lru_cache(_REMEMBERED)
    def contains(address: str | bytes) -> bool:
        if isinstance(address, bytes):
            address = address.decode("latin-1")
        try:
            parsed = ip_address(address.partition("%")[0])
        except ValueError:
            return False
        mapped = parsed.ipv4_mapped if isinstance(parsed, IPv6Address) else None
        return (mapped or parsed) in network

    def is_within(exchange: Exchange) -> bool:
        address = read(exchange)
        return len(address) <= _LONGEST_REMEMBERED and contains(address)

    return is_within


def negate(condition: Condition) -> Condition:
    """Ask whether the condition does not hold."""
    return lambda exchange: not condition(exchange)


def every(conditions: Sequence[Condition]) -> Condition:
    """Ask whether all conditions hold, in order, until one does not."""

    def all_hold(exchange: Exchange) -> bool:
        for condition in conditions:  # noqa: SIM110 - all() would cost a generator
            if not condition(exchange):
                return False
        return True

    return all_hold


def either(conditions: Sequence[Condition]) -> Condition:
    """Ask whether one of the conditions holds, in order, until one does."""

    def one_holds(exchange: Exchange) -> bool:
        for condition in conditions:  # noqa: SIM110 - any() would cost a generator
            if condition(exchange):
                return True
        return False

    return one_holds
