"""What a request is for: the syntax of hosts and paths (RFC 3986); no I/O."""

from __future__ import annotations

import re
from ipaddress import AddressValueError, IPv6Address
from urllib.parse import quote_from_bytes, unquote_to_bytes

#: RFC 3986, section 3.2.2, without an empty name; at most five digits hold every port.
_HOST = re.compile(
    rb"(?:\[([0-9A-Fa-f:.]+)\]|(?:[A-Za-z0-9._~!$&'()*+,;=-]|%[0-9A-Fa-f]{2})+)(?::[0-9]{0,5})?"
).fullmatch

#: Characters of a path that are not percent-encoded (RFC 3986, section 3.3), and those of a query
#: beside the ones that part it or stand for others: & = + %.
PATH_SAFE = "/-._~!$&'()*+,;=:@"
QUERY_SAFE = "/-._~!$'()*,;:@?"

#: Finds each byte that the gateway takes in no request target; see `request`.
_UNSAFE = re.compile(rb"[^\x21\x24-\x3b\x3d\x3f-\x5b\x5d-\x7e]")

_URL = re.compile(rb"https?://([^/?]*)([/?].*)?", re.IGNORECASE).fullmatch


def is_host(host: bytes) -> bool:
    """Whether this is a host, and perhaps a port, as a Host field has it."""
    match = _HOST(host)
    if match is None or match[1] is None:
        return match is not None
    try:
        IPv6Address(match[1].decode())
    except AddressValueError:
        return False
    return True


def split_url(target: bytes) -> tuple[bytes, bytes] | None:
    """Return the host, unchecked, and all that follows it; None where this is no URL."""
    match = _URL(target)
    return None if match is None else (match[1], match[2] or b"")


def split_target(target: bytes) -> tuple[str, bytes]:
    """Return the path, percent-decoded and without dot segments, and the raw query."""
    raw, _, query = target.partition(b"?")
    if b"%" in raw:
        raw = unquote_to_bytes(raw)
    path = raw.decode("utf-8", "surrogateescape")
    return (remove_dot_segments(path) if "/." in path or "//" in path else path), query


def encode_path(path: bytes) -> bytes:
    """Return the target of a decoded path, without dot segments; it begins with a slash."""
    text = remove_dot_segments("/" + path.decode("utf-8", "surrogateescape"))
    return quote_from_bytes(text.encode("utf-8", "surrogateescape"), PATH_SAFE).encode()


def encode_unsafe(target: bytes) -> bytes:
    """Return a target, or a part of one, with the bytes percent-encoded that none may have."""
    return _UNSAFE.sub(lambda found: b"%%%02X" % ord(found[0]), target)


def remove_dot_segments(path: str) -> str:
    """Resolve ``.``, ``..`` and empty segments (RFC 3986, 5.2.4); never above the root."""
    kept: list[str] = []
    segments = path.split("/")
    for segment in segments:
        if segment == "..":
            del kept[-1:]
        elif segment not in ("", "."):
            kept.append(segment)
    directory = segments[-1] in ("", ".", "..") and kept
    return "/" + "/".join(kept) + ("/" if directory else "")
