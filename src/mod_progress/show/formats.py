"""The formats of an answer: how a Snapshot is rendered, and the fields that go with it."""

from __future__ import annotations

import re
from difflib import get_close_matches
from typing import NamedTuple, Protocol

from mod_progress.options import OptionError
from mod_progress.show.dialects import (
    APACHE_CALLBACK,
    APACHE_FIELDS,
    LIGHTTPD1_FIELDS,
    NGINX_CALLBACK,
    NGINX_FIELDS,
    render_apache,
    render_lighttpd1,
    render_nginx,
    render_nginx_java,
    render_nginx_json,
)
from mod_progress.transfer import Snapshot, State

#: Header fields, in the order in which they are sent.
Fields = tuple[tuple[str, str], ...]

#: The function that a jsonp answer calls where the request names none, or a bad one.
DEFAULT_CALLBACK = b"progress"

#: A browser runs the name, so any other character falls back to the default, as in lighttpd 2's
#: mod_progress.
_SAFE_CALLBACK = re.compile(rb"[A-Za-z0-9._]+").fullmatch

_NO_SNIFFING = ("X-Content-Type-Options", "nosniff")

#: Every answer has these fields beside its Content-Type; those of a dialect have their own.
COMMON_FIELDS: Fields = (("Cache-Control", "no-store"), _NO_SNIFFING)


def render_json(snapshot: Snapshot, callback: bytes | None = None, identifier: str = "") -> bytes:
    """Render the members that the state has, in their fixed order."""
    state = snapshot.state
    if state is State.UNKNOWN:
        return b'{"state": "unknown"}'
    if state is State.ERROR:
        return b'{"state": "error", "status": %d}' % snapshot.status
    size = snapshot.request_size
    return (
        b'{"state": "%b", "received": %d, "sent": %d, "request_size": %b, "response_size": %d}'
        % (
            state.encode(),
            snapshot.received,
            snapshot.sent,
            b"null" if size is None else b"%d" % size,
            snapshot.response_size,
        )
    )


def render_jsonp(snapshot: Snapshot, callback: bytes | None = None, identifier: str = "") -> bytes:
    """Render a call of the function ``callback``, or of `DEFAULT_CALLBACK`."""
    if callback is None or _SAFE_CALLBACK(callback) is None:
        callback = DEFAULT_CALLBACK
    return b"%b(%b)" % (callback, render_json(snapshot))


def render_legacy(snapshot: Snapshot, callback: bytes | None = None, identifier: str = "") -> bytes:
    """Render the JavaScript expression that the first clients evaluated."""
    return b"new Object(%b)" % render_json(snapshot)


class Render(Protocol):
    """Makes the body of an answer about the transfer that has the id."""

    def __call__(
        self, snapshot: Snapshot, callback: bytes | None = None, identifier: str = ""
    ) -> bytes:
        """Return the body; a script calls the function ``callback``."""


class Format(NamedTuple):
    """A format: its name in the configuration and the query, and how an answer is made in it."""

    name: str
    content_type: str
    render: Render
    fields: Fields
    #: Whether the answer is a script, which any page can load and so read.
    is_script: bool = False
    dialect: Dialect | None = None


class Dialect(NamedTuple):
    """What is special about the questions in a dialect."""

    #: What names the function to call; None where the answer never calls one.
    callback: re.Pattern[bytes] | None = None
    #: The format of an answer that calls a function, where that is another.
    call: Format | None = None


def _format(name: str, content_type: str, render: Render) -> Format:
    fields: Fields = (("Content-Type", content_type), *COMMON_FIELDS)
    return Format(name, content_type, render, fields, content_type in _SCRIPTS)


def _dialect(
    name: str, content_type: str, render: Render, fields: Fields, dialect: Dialect
) -> Format:
    fields = (("Content-Type", content_type), *fields, _NO_SNIFFING)
    return Format(name, content_type, render, fields, content_type in _SCRIPTS, dialect)


_SCRIPT = "application/javascript"
_NGINX_SCRIPT = "text/javascript"
_SCRIPTS = (_SCRIPT, _NGINX_SCRIPT)

JSON = _format("json", "application/json", render_json)
JSONP = _format("jsonp", _SCRIPT, render_jsonp)
LEGACY = _format("legacy", _SCRIPT, render_legacy)

#: Server-Sent Events (HTML standard, section 9.2): a stream, which the module `events` makes. The
#: fields ask whatever is in between to pass each event on at once: nginx by X-Accel-Buffering,
#: others by Incremental (RFC 10036).
EVENTS = Format(
    "events",
    "text/event-stream",
    render_json,
    (
        ("Content-Type", "text/event-stream"),
        ("Cache-Control", "no-store, no-transform"),
        ("X-Content-Type-Options", "nosniff"),
        ("X-Accel-Buffering", "no"),
        ("Incremental", "?1"),
    ),
)

_CALLS = Dialect(NGINX_CALLBACK)

#: The shapes of nginx's module, named after the directives that choose them.
NGINX = (
    _dialect("nginx", _NGINX_SCRIPT, render_nginx, NGINX_FIELDS, _CALLS),
    _dialect("nginx.json", "application/json", render_nginx_json, NGINX_FIELDS, Dialect()),
    _dialect("nginx.java", _NGINX_SCRIPT, render_nginx_java, NGINX_FIELDS, Dialect()),
    _dialect("nginx.jsonp", _SCRIPT, render_nginx, NGINX_FIELDS, _CALLS),
)

#: A call of Apache's module is a script of this media type: browsers run it only if they may sniff.
_APACHE_CALL = Format(
    "apache",
    "application/json",
    render_apache,
    (("Content-Type", "application/json"), *APACHE_FIELDS),
    is_script=True,
)

APACHE = _dialect(
    "apache",
    "application/json",
    render_apache,
    APACHE_FIELDS,
    Dialect(APACHE_CALLBACK, _APACHE_CALL),
)

LIGHTTPD1 = _dialect("lighttpd1", "text/xml", render_lighttpd1, LIGHTTPD1_FIELDS, Dialect())

#: The formats by name.
FORMATS = {form.name: form for form in (JSON, JSONP, LEGACY, EVENTS, *NGINX, APACHE, LIGHTTPD1)}


def find_format(name: object) -> Format:
    """Return the format of that name. Raises `options.OptionError` where there is none."""
    form = FORMATS.get(name) if isinstance(name, str) else None
    if form is None:
        near = get_close_matches(str(name), FORMATS, n=1)
        raise OptionError("format", name, f"one of {', '.join(FORMATS)}", *near)
    return form
