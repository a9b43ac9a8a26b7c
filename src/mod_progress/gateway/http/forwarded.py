"""Whom front proxies name as their client: X-Forwarded-For, or Forwarded (RFC 7239); no I/O."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from ipaddress import IPv6Address, ip_address

from mod_progress.gateway.http.heads import TOKEN, Fields, list_elements

#: The address and the port of a client, or of a proxy; -1 is a port that nobody has named.
Node = tuple[str, int]

#: A node whose address is hidden (RFC 7239, section 6), or written in a way that nobody knows.
UNKNOWN: Node = ("", -1)

#: Proxies on the way that are looked at. There are few; strangers may name thousands.
_MOST_HOPS = 32

#: A parameter of Forwarded, perhaps an empty one, and what ends it (RFC 7239, section 4).
_PARAMETER = re.compile(
    rb"[ \t]*+(?:(" + TOKEN + rb")=(?:(" + TOKEN + rb')|"((?:[^"\\]|\\.)*+)"))?+[ \t]*+([;,]|\Z)'
).match

_ESCAPED = re.compile(rb"\\(.)")

#: An address with or without a port, which may be hidden (RFC 7239, section 6.2). X-Forwarded-For
#: has IPv6 addresses without brackets, and so without a port.
_NODE = re.compile(
    rb"(?:\[([0-9A-Fa-f]*+:[0-9A-Fa-f:.]++)\]|([0-9.]++))(?::(?:([0-9]{1,5})|_[0-9A-Za-z._-]++))?"
    rb"|([0-9A-Fa-f:.]++)"
).fullmatch


def client_of(fields: Fields, peer: Node, trusts: Callable[[str], bool]) -> Node:
    """Return the client of a request that the trusted proxy ``peer`` has sent.

    It is the last node that no trusted proxy is: each proxy adds the node that it got the request
    from at the end, and what is before the last untrusted one may be invented. `UNKNOWN` where that
    node has no address. Forwarded counts only without X-Forwarded-For: a proxy that writes the one
    often passes on the other as it came.
    """
    node = peer
    for count, node in enumerate(_from_the_last(fields)):
        if count == _MOST_HOPS:
            return UNKNOWN
        if not trusts(node[0]):
            break
    return node


def _from_the_last(fields: Fields) -> Iterator[Node]:
    """Yield the nodes that the fields name, from the last to the first."""
    nodes = [node for node in list_elements(_values(fields, b"x-forwarded-for")) if node]
    if nodes:
        yield from map(_node, reversed(nodes))
    else:
        yield from reversed(_forwarded(b",".join(_values(fields, b"forwarded"))))


def _values(fields: Fields, key: bytes) -> list[bytes]:
    return [value for name, value in fields if name.lower() == key]


def _forwarded(value: bytes) -> list[Node]:
    """Return the nodes of Forwarded; one that is unknown where its syntax is wrong."""
    nodes: list[Node] = []
    node: Node | None = None
    at = 0
    while at < len(value):
        match = _PARAMETER(value, at)
        if match is None:
            return [UNKNOWN]
        name, token, quoted, end = match.groups()
        if name is not None:
            node = node or UNKNOWN
            if name.lower() == b"for":
                node = _node(token if quoted is None else _ESCAPED.sub(rb"\1", quoted))
        at = match.end()
        if node is not None and (end == b"," or at == len(value)):
            nodes.append(node)
            node = None
    return nodes


def _node(text: bytes) -> Node:
    match = _NODE(text)
    if match is None:
        return UNKNOWN
    in_brackets, ipv4, port, bare = match.groups()
    try:
        parsed = ip_address((in_brackets or ipv4 or bare).decode())
    except ValueError:
        return UNKNOWN
    mapped = parsed.ipv4_mapped if isinstance(parsed, IPv6Address) else None
    return str(mapped or parsed), -1 if port is None else int(port)
