"""A whole configuration, compiled: all that a gateway needs to run."""

from __future__ import annotations

from dataclasses import dataclass, field
from ipaddress import IPv4Network, IPv6Network
from typing import NamedTuple

from mod_progress.gateway.exchange import Action
from mod_progress.gateway.limits import Limits
from mod_progress.options import Options

#: More workers than any machine has processors. A number with too many digits would use up the
#: memory.
MOST_WORKERS = 1024


class Tls(NamedTuple):
    """The paths of a listener's certificate and its key: PEM files, read again at a reload."""

    certificate: str
    key: str


class Listener(NamedTuple):
    """An address to listen on, as `address.parse_listen_address` takes it."""

    address: str
    tls: Tls | None = None


class AccessLog(NamedTuple):
    """The path of the access log, and the form of its lines: "combined" or "json"."""

    path: str
    form: str = "combined"


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """All that a configuration says."""

    action: Action
    listeners: tuple[Listener, ...] = ()
    workers: int = 1
    options: Options = field(default_factory=Options)
    limits: Limits = field(default_factory=Limits)
    #: The store that the processes share, as `stores.open_store` takes it.
    store: str = "local"
    access_log: AccessLog | None = None
    #: The user and the group of the workers, by name or number. None: those of the supervisor.
    user: str | None = None
    group: str | None = None
    #: Front proxies: what they say about their clients is believed.
    trusted: tuple[IPv4Network | IPv6Network, ...] = ()
    #: Protocols that a client may switch to with a backend, in lower case.
    tunnelled: frozenset[bytes] = frozenset({b"websocket"})
