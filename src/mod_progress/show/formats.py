"""The formats of an answer: how a Snapshot is rendered, and the fields that go with it."""

from __future__ import annotations

import re
from collections.abc import Callable
from difflib import get_close_matches
from typing import NamedTuple

from mod_progress.options import OptionError
from mod_progress.transfer import Snapshot, State

#: Header fields, in the order in which they are sent.
Fields = tuple[tuple[str, str], ...]

#: The function that a jsonp answer calls where the request names none, or a bad one.
DEFAULT_CALLBACK = b"progress"

#: A browser runs the name, so any other character falls back to the default, as in lighttpd 2's
#: mod_progress.
_SAFE_CALLBACK = re.compile(rb"[A-Za-z0-9._]+").fullmatch

#: Every answer has these fields beside its Content-Type.
COMMON_FIELDS: Fields = (("Cache-Control", "no-store"), ("X-Content-Type-Options", "nosniff"))


def render_json(snapshot: Snapshot, callback: bytes | None = None) -> bytes:
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


def render_jsonp(snapshot: Snapshot, callback: bytes | None = None) -> bytes:
    """Render a call of the function ``callback``, or of `DEFAULT_CALLBACK`."""
    if callback is None or _SAFE_CALLBACK(callback) is None:
        callback = DEFAULT_CALLBACK
    return b"%b(%b)" % (callback, render_json(snapshot))


def render_legacy(snapshot: Snapshot, callback: bytes | None = None) -> bytes:
    """Render the JavaScript expression that the first clients evaluated."""
    return b"new Object(%b)" % render_json(snapshot)


class Format(NamedTuple):
    """A format: its name in the configuration and the query, and how an answer is made in it."""

    name: str
    content_type: str
    render: Callable[[Snapshot, bytes | None], bytes]
    fields: Fields

    @property
    def is_script(self) -> bool:
        """Whether the answer is a script, which any page can load and so read."""
        return self.content_type == _SCRIPT


def _format(
    name: str, content_type: str, render: Callable[[Snapshot, bytes | None], bytes]
) -> Format:
    return Format(name, content_type, render, (("Content-Type", content_type), *COMMON_FIELDS))


_SCRIPT = "application/javascript"

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

#: The formats by name.
FORMATS = {form.name: form for form in (JSON, JSONP, LEGACY, EVENTS)}


def find_format(name: object) -> Format:
    """Return the format of that name. Raises `options.OptionError` where there is none."""
    form = FORMATS.get(name) if isinstance(name, str) else None
    if form is None:
        near = get_close_matches(str(name), FORMATS, n=1)
        raise OptionError("format", name, f"one of {', '.join(FORMATS)}", *near)
    return form
