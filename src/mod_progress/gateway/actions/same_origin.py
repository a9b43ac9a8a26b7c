"""The action `access.same_origin`: what pages of other sites make a visitor's browser send."""

from __future__ import annotations

import re
from dataclasses import dataclass
from ipaddress import ip_address

from mod_progress.gateway.actions.conditions import host_name
from mod_progress.gateway.exchange import Exchange
from mod_progress.gateway.http.heads import Refusal

#: Methods that change nothing (RFC 9110, section 9.2.1).
_SAFE = frozenset({"GET", "HEAD", "OPTIONS", "TRACE"})

#: Values of Sec-Fetch-Site: a page of the same origin, or the user, as by a bookmark.
_OWN_SITES = frozenset({b"same-origin", b"none"})

_ORIGIN = re.compile(rb"(https?)://([^/]+)", re.IGNORECASE).fullmatch

_DEFAULT_PORTS = {b"http": b":80", b"https": b":443"}

_LOOPBACK = ("127.", "::ffff:127.")


@dataclass(frozen=True, slots=True)
class SameOrigin:
    """Refuses (403) what a page of another site makes the browser of a visitor send.

    Requests that change something are refused where a header field of the browser tells that a
    page of another origin sends them: Sec-Fetch-Site, or Origin for browsers and addresses that
    have none (plain http, but for localhost). Programs that are no browsers send neither field,
    and are served.

    On a loopback address, any request for a foreign host is refused. A page can point a name of
    its own at 127.0.0.1 (DNS rebinding), and the browser then takes our answers for its own.

    ``hosts`` are more names of the site, in lower case and without port. Their pages may send
    requests, and a loopback address answers to them.
    """

    hosts: frozenset[bytes] = frozenset()

    def __call__(self, exchange: Exchange) -> None:
        """Raise `Refusal`, whatever would have answered the request."""
        if self._is_rebound(exchange):
            raise Refusal(
                403,
                "on a loopback address, this server answers to localhost and to IP addresses; "
                "access.same_origin in a configuration can name more hosts",
            )
        if self._is_cross_site(exchange):
            raise Refusal(403, "a page of another site has sent this request")

    def _is_rebound(self, exchange: Exchange) -> bool:
        """Whether the request came to a loopback address under a foreign name."""
        client, host = exchange.client, host_name(exchange.request.as_received.host)
        if host in (b"", b"localhost") or host in self.hosts:
            return False
        address = client.local[0]
        if not address.startswith(_LOOPBACK) and address != "::1":
            return False
        return not (host.endswith(b".localhost") or _is_address(host) or client.trusted)

    def _is_cross_site(self, exchange: Exchange) -> bool:
        """Whether a browser says that a page of another origin made it send the request."""
        request = exchange.request.as_received  # whatever `req_header` has changed for a backend
        if request.method in _SAFE and not request.upgrade:
            return False
        site, origin = request.named.get(b"sec-fetch-site"), request.named.get(b"origin")
        if site in _OWN_SITES or (site is None and origin is None):
            return False
        match = _ORIGIN(origin or b"")
        if match is None:
            return True
        scheme, host = match.groups()
        if host_name(host) in self.hosts:
            return False
        return site is not None or _with_port(host, scheme) != _with_port(request.host, scheme)


def _is_address(host: bytes) -> bool:
    """Whether this is an IP address, which nobody can point elsewhere."""
    try:
        ip_address(host.strip(b"[]").decode("ascii", "replace"))
    except ValueError:
        return False
    return True


def _with_port(host: bytes, scheme: bytes) -> bytes:
    """Return the host in lower case, with its port also where that is the scheme's default."""
    host = host.lower()
    if re.search(rb":[0-9]+$", host):
        return host
    return host.rstrip(b":") + _DEFAULT_PORTS[scheme.lower()]
