"""What is unsafe in how a site runs: said once at the start, and never forbidden."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from ipaddress import ip_address

from mod_progress.gateway.actions.basic_auth import BasicAuth
from mod_progress.gateway.actions.flow import steps
from mod_progress.gateway.address import Address
from mod_progress.gateway.files.uploads import StoreUploads
from mod_progress.gateway.server.generation import Generation

#: What clients send that others should not read, by the action that takes it.
_PRIVATE = {StoreUploads: "files", BasicAuth: "passwords"}


def risks(generation: Generation) -> Iterator[str]:
    """Yield each risk, in one line that says what to do about it."""
    site = generation.site
    if generation.identity is None and os.geteuid() == 0:
        yield "workers run as root: name another user by --user, or user in setup"
    if site.store == "memory" and site.workers > 1:
        yield (
            f"the store is memory: each of {site.workers} workers shows its own transfers alone; "
            "take local, or a redis:// URL"
        )
    taken = {
        word
        for step in steps(site.action)
        for kind, word in _PRIVATE.items()
        if isinstance(step, kind)
    }
    # A trusted front proxy is supposed to speak TLS, and to be the only client.
    if taken and not site.trusted:
        what = " and ".join(sorted(taken))
        for listening, tls in generation.listeners:
            address = _open_to_others(listening)
            if tls is None and address is not None:
                yield (
                    f"{address} takes {what} from other machines without TLS: "
                    "use openssl or --tls-cert, or listen on 127.0.0.1"
                )


def _open_to_others(listening: socket.socket) -> Address | None:
    """Return the address of a socket that other machines may reach; else None."""
    name = listening.getsockname()
    if not isinstance(name, tuple) or ip_address(name[0].partition("%")[0]).is_loopback:
        return None
    return Address(name[0], name[1])
