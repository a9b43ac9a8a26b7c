"""What a show answers: Snapshot -> bytes, one function a format, and the table of them."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import NamedTuple

from mod_progress.transfer import Snapshot, State

#: The function that a jsonp answer calls where the request names none, or a bad one.
DEFAULT_CALLBACK = b"progress"

#: Every other character falls back to the default, as in the original: a name is run by a browser.
_SAFE_CALLBACK = re.compile(rb"[A-Za-z0-9._]+").fullmatch

#: Every show carries these beside its Content-Type.
HEADERS = (("Cache-Control", "no-store"), ("X-Content-Type-Options", "nosniff"))


def json(snapshot: Snapshot, callback: bytes | None = None) -> bytes:
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


def jsonp(snapshot: Snapshot, callback: bytes | None = None) -> bytes:
    """Render a call of the function ``callback``, or of `DEFAULT_CALLBACK`."""
    if callback is None or _SAFE_CALLBACK(callback) is None:
        callback = DEFAULT_CALLBACK
    return b"%b(%b)" % (callback, json(snapshot))


def legacy(snapshot: Snapshot, callback: bytes | None = None) -> bytes:
    """Render the JavaScript expression that the first clients evaluated."""
    return b"new Object(%b)" % json(snapshot)


class Format(NamedTuple):
    """One format: its name in the configuration, its media type, and how it is rendered."""

    name: str
    content_type: str
    render: Callable[[Snapshot, bytes | None], bytes]


FORMATS = {
    name: Format(name, content_type, render)
    for name, content_type, render in (
        ("json", "application/json", json),
        ("jsonp", "application/javascript", jsonp),
        ("legacy", "application/javascript", legacy),
    )
}

JSON = FORMATS["json"]
