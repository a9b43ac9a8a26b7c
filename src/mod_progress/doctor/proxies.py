"""Proxies that are known by name, and which of their settings stand in the way of a stream."""

from __future__ import annotations

import re
from email.message import Message
from enum import Enum, auto

#: The header fields in which a proxy says its name.
_TELLING = ("Server", "Via")

#: The field by which a stream tells nginx not to buffer it. nginx takes it out.
_FOR_NGINX = "X-Accel-Buffering"


class Harm(Enum):
    """What a proxy may do to a stream of events."""

    HELD = auto()
    COMPRESSED = auto()
    CUT = auto()


#: What to set in a proxy against each harm; ``{show}`` stands for the path of the show. nginx 1.22,
#: Apache 2.4, HAProxy 2.6, Caddy 2.6 and Varnish 7.1 were tried: what has no text here, they do
#: right. The rest is from the makers' documentation.
SETTINGS: dict[str, dict[Harm, str]] = {
    "nginx": {
        Harm.HELD: "`proxy_buffering off;` and `gzip off;` in a location for {show}. The stream "
        "asks for the first by the field `X-Accel-Buffering: no`; `proxy_ignore_headers` must not "
        "name it.",
        Harm.COMPRESSED: "`gzip off;` in a location for {show}, or no text/event-stream in "
        "`gzip_types`.",
        Harm.CUT: "`proxy_read_timeout` and `send_timeout`: more than 15s.",
    },
    "Varnish": {
        Harm.HELD: "for {show}, no `set beresp.do_stream = false;` and no "
        "`set beresp.do_gzip = true;`.",
        Harm.COMPRESSED: "for {show}, no `set beresp.do_gzip = true;`.",
        Harm.CUT: "`between_bytes_timeout` and `send_timeout`: more than 15 seconds.",
    },
    "Apache": {
        Harm.HELD: "`flushpackets=on` at the `ProxyPass` of {show}.",
        Harm.COMPRESSED: '`SetEnvIf Request_URI "^{show}" no-gzip no-brotli`.',
        Harm.CUT: "`ProxyTimeout`, or `timeout=` at the `ProxyPass`: more than 15 seconds.",
    },
    "HAProxy": {Harm.CUT: "`timeout server` and `timeout client`: more than 15s."},
    "Caddy": {Harm.CUT: "`read_timeout` in the `transport` of `reverse_proxy`: more than 15s."},
    "Microsoft-IIS": {
        Harm.HELD: "`Response buffer threshold` 0 in the settings of Application Request Routing.",
        Harm.COMPRESSED: "no text/event-stream among the types of dynamic compression.",
        Harm.CUT: "`Time-out` of Application Request Routing: more than 15 seconds.",
    },
    "Cloudflare": {
        Harm.HELD: "`Response Buffering` off, and a Configuration Rule for {show} with "
        "`Response body buffering`: `None`.",
    },
}


def find_proxies(fields: Message) -> dict[str, str]:
    """Return the names of the proxies that an answer tells of, and the field that does."""
    found: dict[str, str] = {}
    for field in _TELLING:
        for value in fields.get_all(field, ()):
            for name in SETTINGS:
                if re.search(rf"\b{name}\b", value, re.IGNORECASE):
                    found.setdefault(name, f"{field}: {value}")
    if _FOR_NGINX not in fields:
        found.setdefault("nginx", f"it takes out {_FOR_NGINX}, which is missing")
    return found


def advise_against(harm: Harm, fields: Message, show: str) -> tuple[str, ...]:
    """Return what to set in the proxies that an answer tells of; in all, where it tells of none."""
    found = find_proxies(fields)
    told = {name: f"{name} ({sign})" for name, sign in found.items() if harm in SETTINGS[name]}
    names = told or {name: name for name, settings in SETTINGS.items() if harm in settings}
    return tuple(
        f"{said}: {SETTINGS[name][harm].format(show=show)}" for name, said in names.items()
    )
