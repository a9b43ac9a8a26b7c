"""Addresses of sockets, as a configuration and the command line write them; no I/O."""

from __future__ import annotations

import re
from ipaddress import AddressValueError, IPv6Address
from typing import NamedTuple

#: The host of a listener for all IPv4 addresses.
EVERYWHERE = "*"

_HOST_AND_PORT = re.compile(r"(?:\[([0-9A-Fa-f:.]+)\]|([^\s:/\[\]]*))(?::([0-9]{1,5}))?").fullmatch

_NAME = re.compile(rb"[0-9A-Za-z._-]+").fullmatch

#: Begins the address of sockets that systemd passes on.
_PASSED = "systemd:"

#: A name that a socket unit may give to its sockets (FileDescriptorName in systemd.socket(5)).
_PASSED_NAME = re.compile(r"[\x20-\x39\x3b-\x7e]{1,255}").fullmatch

#: Bytes of the longest path of a Unix socket: `sun_path` has 108 on Linux, the last of them a zero
#: (unix(7)).
_LONGEST_PATH = 107


class AddressError(ValueError):
    """A text is not an address; the message says why."""


class Address(NamedTuple):
    """Where a socket is: a host and a port, a path, or the name of one that is passed on."""

    host: str = ""
    port: int = 0
    #: The path of a Unix socket; None where there is a host and a port.
    path: str | None = None
    #: The name of sockets that systemd passes on, which listen already.
    passed: str | None = None

    def __str__(self) -> str:
        """Return the address as the functions of this module take it."""
        if self.path is not None:
            return f"unix:{self.path}"
        if self.passed is not None:
            return f"{_PASSED}{self.passed}"
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def parse_address(text: str) -> Address:
    """Return the address of a server: "host:port", "[v6]:port" or "unix:/path".

    Raises `AddressError`.
    """
    address = _parse(text, None)
    if address.path is None and (address.host == EVERYWHERE or not address.port):
        raise AddressError(f"{text!r} is an address to listen on, not one to connect to")
    return address


def parse_listen_address(text: str, default_port: int | None = None) -> Address:
    """Return an address to listen on; raises `AddressError`.

    It has the forms of `parse_address`, or is "systemd:name". The host may be `EVERYWHERE`, or left
    out, which means the same. With the port 0 the system chooses a port. A text without a port gets
    the default one.
    """
    if text.startswith(_PASSED):
        return Address(passed=_checked_name(text.removeprefix(_PASSED)))
    return _parse(text, default_port)


def _parse(text: str, default_port: int | None) -> Address:
    if text.startswith("unix:"):
        return Address(path=_checked_path(text.removeprefix("unix:")))
    match = _HOST_AND_PORT(text) if text else None
    port = default_port if match is None or match[3] is None else int(match[3])
    if match is None or port is None:
        raise AddressError(f"{text!r} is neither host:port nor unix:/path")
    if port > 65535:
        raise AddressError(f"{text!r} has a port above 65535")
    return Address(_checked_host(match[2]) if match[1] is None else _checked_ipv6(match[1]), port)


def _checked_path(path: str) -> str:
    if not path or "\0" in path:
        raise AddressError(f"{path!r} is not the path of a socket")
    if len(path.encode("utf-8", "surrogateescape")) > _LONGEST_PATH:
        raise AddressError(f"{path!r} is longer than the {_LONGEST_PATH} bytes of a socket's path")
    return path


def _checked_name(name: str) -> str:
    if _PASSED_NAME(name) is None:
        raise AddressError(f"{name!r} is not the name of a socket of systemd's")
    return name


def _checked_ipv6(text: str) -> str:
    try:
        IPv6Address(text)
    except AddressValueError:
        raise AddressError(f"{text!r} is not an IPv6 address") from None
    return text


def _checked_host(name: str) -> str:
    """Check the name of a host, or its IPv4 address, for what the system's resolver cannot take."""
    if name in ("", EVERYWHERE):
        return EVERYWHERE
    try:
        # Empty labels, and labels above 63 bytes (RFC 1035, section 2.3.4), raise UnicodeError.
        valid = _NAME(name.encode("idna"))
    except UnicodeError:
        valid = None
    if valid is None:
        raise AddressError(f"{name!r} is not the name or the address of a host")
    return name
