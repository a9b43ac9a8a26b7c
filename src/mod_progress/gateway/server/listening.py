"""Sockets to listen on, by their addresses in the configuration; certificates for TLS."""

from __future__ import annotations

import errno
import os
import socket
import ssl
import stat
from collections.abc import Mapping, Sequence
from contextlib import ExitStack, suppress
from typing import Any, NoReturn

from mod_progress.gateway.address import EVERYWHERE, Address, AddressError, parse_listen_address
from mod_progress.gateway.server.site import Listener, Tls

#: Connections that wait to be accepted. The kernel takes fewer where net.core.somaxconn is lower.
BACKLOG = 4096

#: Ports that are tried where the system chooses one for several addresses at once: one that is free
#: for the first address may be taken for the second.
_MOST_TRIES = 20

#: What the system says about an address of a family that this machine has switched off, or of
#: another machine.
_NOT_OF_THIS_MACHINE = (errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT)

#: A family, and an address as `socket.bind` takes it.
Resolved = tuple[int, tuple[Any, ...]]


#: Sockets that systemd has passed on, by their names.
Passed = Mapping[str, list[socket.socket]]


class ListenError(Exception):
    """An address cannot be listened on; the message says which, and why."""


def resolve(address: Address) -> list[Resolved]:
    """Return what a host and its port stand for, each address once.

    Raises OSError where the name is not known.
    """
    if address.host == EVERYWHERE:
        return [(socket.AF_INET, ("0.0.0.0", address.port))]
    found = socket.getaddrinfo(address.host, address.port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys((family, where) for family, _, _, _, where in found))


def bind(address: str, passed: Passed | None = None) -> list[socket.socket]:
    """Return listening sockets: one for each address of the host; raises `ListenError`.

    ``passed`` are those that systemd has passed on.
    """
    try:
        parsed = parse_listen_address(address)
        if parsed.passed is not None:
            return _find_passed(parsed.passed, passed or {})
        if parsed.path is not None:
            return [_bind_path(parsed.path)]
        return _bind_ports(parsed)
    except (OSError, AddressError) as error:
        raise ListenError(f"cannot listen on {address}: {_reason(error)}") from None


def _find_passed(name: str, passed: Passed) -> list[socket.socket]:
    if name not in passed:
        names = ", ".join(passed) or "none at all"
        raise AddressError(f"systemd has passed no socket of this name, but {names}")
    return passed[name]


def _bind_ports(address: Address) -> list[socket.socket]:
    found = resolve(address)
    for _ in range(_MOST_TRIES):
        try:
            return _bind_all(found)
        except OSError as error:
            if address.port or error.errno != errno.EADDRINUSE:
                raise
    raise OSError(errno.EADDRINUSE, os.strerror(errno.EADDRINUSE))


def _bind_all(found: Sequence[Resolved]) -> list[socket.socket]:
    """Listen on every address that this machine has; at least one."""
    bound: list[socket.socket] = []
    missing: OSError | None = None
    with ExitStack() as stack:
        for family, (host, port, *rest) in found:
            # The port that the system chose for the first address is that of the others too.
            port = bound[0].getsockname()[1] if bound else port
            try:
                bound.append(stack.enter_context(_bind_port(family, (host, port, *rest))))
            except OSError as error:
                if error.errno not in _NOT_OF_THIS_MACHINE:
                    raise
                missing = error
        if not bound and missing is not None:
            raise missing
        stack.pop_all()
    return bound


def _bind_port(family: int, where: tuple[Any, ...]) -> socket.socket:
    with ExitStack() as stack:
        listening = stack.enter_context(socket.socket(family, socket.SOCK_STREAM))
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            # As in lighttpd 2, "[::]" and "*" are two listeners: neither takes the other's clients.
            listening.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        listening.bind(where)
        listening.listen(BACKLOG)
        stack.pop_all()
    return listening


def _bind_path(path: str) -> socket.socket:
    """Listen on a Unix socket; replace one that nobody listens on any more."""
    with suppress(FileNotFoundError):
        if stat.S_ISSOCK(os.stat(path).st_mode) and _is_abandoned(path):  # noqa: PTH116
            os.unlink(path)  # noqa: PTH108
    with ExitStack() as stack:
        listening = stack.enter_context(socket.socket(socket.AF_UNIX, socket.SOCK_STREAM))
        listening.bind(path)
        listening.listen(BACKLOG)
        stack.pop_all()
    return listening


def _is_abandoned(path: str) -> bool:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        # A server whose queue is full would make a blocking connect wait.
        probe.setblocking(False)
        return probe.connect_ex(path) == errno.ECONNREFUSED


def url_of(listener: Listener, listening: socket.socket) -> str:
    """Return the URL of a listening socket, with the port that the system chose for port 0."""
    name = listening.getsockname()
    if isinstance(name, bytes):  # an abstract one: a zero byte comes first
        return f"unix:@{name[1:].decode('utf-8', 'replace')}"
    if isinstance(name, str):
        return f"unix:{name}"
    scheme = "http" if listener.tls is None else "https"
    return f"{scheme}://{Address(name[0], name[1])}/"


def tls_context(tls: Tls) -> ssl.SSLContext:
    """Return a server's context for TLS 1.2 and up; raises `ListenError`."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(["http/1.1"])
    try:
        for path in tls:
            # Reading a pipe or a device may never end.
            if not stat.S_ISREG(os.stat(path).st_mode):  # noqa: PTH116
                raise OSError(f"{path} is not a regular file")
        context.load_cert_chain(tls.certificate, tls.key, _refuse_passphrase)
    except (OSError, ValueError) as error:  # ssl.SSLError is an OSError
        why = _reason(error)
        raise ListenError(f"cannot use the certificate {tls.certificate}: {why}") from None
    return context


def _refuse_passphrase() -> NoReturn:
    # OpenSSL would ask for it on the terminal, and a reload would wait for somebody there.
    raise ValueError("the key needs a passphrase; use one without")


def _reason(error: Exception) -> str:
    return (isinstance(error, OSError) and error.strerror) or str(error)
