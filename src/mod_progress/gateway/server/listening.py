"""Sockets to listen on, by their addresses in the configuration."""

from __future__ import annotations

import os
import re
import socket
import ssl
import stat
from contextlib import suppress

from mod_progress.gateway.server.site import Listener, Tls

#: Connections that wait to be accepted; the kernel takes less where net.core.somaxconn says so.
BACKLOG = 4096

_ADDRESS = re.compile(r"(?:\[([0-9A-Fa-f:.]+)\]|([^:\[\]/]*)):([0-9]{1,5})").fullmatch


class ListenError(Exception):
    """An address cannot be listened on; the message says which, and why."""


def bind(listener: Listener) -> socket.socket:
    """Return a listening socket; raises `ListenError`."""
    address = listener.address
    try:
        if address.startswith("unix:"):
            return _bind_path(address.removeprefix("unix:"))
        match = _ADDRESS(address)
        if match is None or int(match[3]) > 65535:
            raise ListenError(f"cannot listen on {address}: it is neither host:port nor unix:/path")
        return _bind_port(match[1] or match[2], int(match[3]))
    except OSError as error:
        why = error.strerror or str(error)
        raise ListenError(f"cannot listen on {address}: {why}") from None


def _bind_port(host: str, port: int) -> socket.socket:
    everywhere = host in ("", "*")
    kind, _, _, _, address = socket.getaddrinfo(
        None if everywhere else host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
    )[0]
    listening = socket.socket(kind, socket.SOCK_STREAM)
    try:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if kind == socket.AF_INET6:
            # As the original: "[::]" and "*" are two listeners, so that neither hides the other.
            listening.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        listening.bind(address)
        listening.listen(BACKLOG)
    except OSError:
        listening.close()
        raise
    return listening


def _bind_path(path: str) -> socket.socket:
    """Listen on a Unix socket; one that nobody listens on any more is replaced."""
    with suppress(FileNotFoundError):
        if stat.S_ISSOCK(os.stat(path).st_mode) and not _answers(path):  # noqa: PTH116
            os.unlink(path)  # noqa: PTH108
    listening = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        listening.bind(path)
        listening.listen(BACKLOG)
    except OSError:
        listening.close()
        raise
    return listening


def _answers(path: str) -> bool:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        return probe.connect_ex(path) == 0


def url_of(listener: Listener, listening: socket.socket) -> str:
    """Return where a listener is reached; a port of 0 was chosen by the system."""
    name = listening.getsockname()
    if isinstance(name, str):
        return f"unix:{name}"
    scheme = "http" if listener.tls is None else "https"
    host = f"[{name[0]}]" if ":" in name[0] else name[0]
    return f"{scheme}://{host}:{name[1]}/"


def tls_context(tls: Tls) -> ssl.SSLContext:
    """Return a server's context, TLS 1.2 and up; raises `ListenError`."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(["http/1.1"])
    try:
        context.load_cert_chain(tls.certificate, tls.key)
    except OSError as error:  # ssl.SSLError is one
        why = error.strerror or str(error)
        raise ListenError(f"cannot use the certificate {tls.certificate}: {why}") from None
    return context
