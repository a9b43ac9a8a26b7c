"""What a configuration says, compiled: all that a gateway needs to run."""

from __future__ import annotations

from dataclasses import dataclass, field
from ipaddress import IPv4Network, IPv6Network
from typing import NamedTuple

from mod_progress.gateway.exchange import Action
from mod_progress.gateway.limits import Limits
from mod_progress.options import Options


class Tls(NamedTuple):
    """Where a listener's certificate and its key are; PEM files, read again on reload."""

    certificate: str
    key: str


class Listener(NamedTuple):
    """One address to listen on: "host:port", "[v6]:port", "*:port" or "unix:/path"."""

    address: str
    tls: Tls | None = None


class AccessLog(NamedTuple):
    """Where each request is noted, and how: "combined" or "json"."""

    path: str
    form: str = "combined"


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """A whole configuration."""

    action: Action
    listeners: tuple[Listener, ...] = ()
    workers: int = 1
    options: Options = field(default_factory=Options)
    limits: Limits = field(default_factory=Limits)
    #: Which store the processes share, as `stores.open_store` takes it.
    store: str = "local"
    access_log: AccessLog | None = None
    #: Front proxies that are believed in what they say of their clients.
    trusted: tuple[IPv4Network | IPv6Network, ...] = ()
    #: Protocols that a client may switch to with a backend, in lower case.
    tunnelled: frozenset[bytes] = frozenset({b"websocket"})
