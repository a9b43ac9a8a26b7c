"""The dialects: answers as the modules of nginx (0.9.2), Apache (0.2) and lighttpd 1 (1.4.67) give.

The bytes are those of the modules, so that their clients work unchanged. The modules report uploads
alone, and tell less than a show does: until the end how much of the body is here, then how it went.
"""

from __future__ import annotations

import json
import re
import time

from mod_progress.transfer import FIRST_ERROR_STATUS, Snapshot, State

#: The fields that keep an answer out of caches, as each module sends them.
NGINX_FIELDS = (("Expires", "Thu, 01 Jan 1970 00:00:01 GMT"), ("Cache-Control", "no-cache"))
APACHE_FIELDS = (("Expires", "Mon, 28 Sep 1970 06:00:00 GMT"), ("Cache-Control", "no-cache"))

LIGHTTPD1_FIELDS = (
    ("Pragma", "no-cache"),
    ("Expires", "Thu, 19 Nov 1981 08:52:00 GMT"),
    ("Cache-Control", "no-store, no-cache, must-revalidate, post-check=0, pre-check=0"),
)

#: The query parameter that names the function to call.
CALLBACK_PARAMETER = "callback"

#: What that may be. nginx's module sends back any text, which a browser would run, and takes an
#: empty one for none; Apache's refuses what does not match.
NGINX_CALLBACK = re.compile(rb"[A-Za-z0-9._$\[\]]*")
APACHE_CALLBACK = re.compile(rb"[A-Za-z0-9._$]{1,64}")

#: The status of a transfer that was cut: both modules say so of a client that has left.
_CUT = 400

#: What the modules of nginx and lighttpd 1 say of a size that nobody knows.
_NO_SIZE = -1

_SECOND = 10**9


def render_nginx(snapshot: Snapshot, callback: bytes | None = None, identifier: str = "") -> bytes:
    """Render the default shape, which is also that of ``upload_progress_jsonp_output``."""
    return b"%b({ %b });\r\n" % (callback or b"", _members(snapshot))


def render_nginx_json(
    snapshot: Snapshot, callback: bytes | None = None, identifier: str = ""
) -> bytes:
    """Render the shape of ``upload_progress_json_output``."""
    return b"{ %b }\r\n" % _members(snapshot)


def render_nginx_java(
    snapshot: Snapshot, callback: bytes | None = None, identifier: str = ""
) -> bytes:
    """Render the shape of ``upload_progress_java_output``."""
    return b"new Object({ %b })\r\n" % _members(snapshot).replace(b'"', b"'")


def _members(snapshot: Snapshot) -> bytes:
    state, size = snapshot.state, snapshot.request_size
    if state is State.RUNNING and size != 0:
        if size is None:
            size = _NO_SIZE
        return b'"state" : "uploading", "received" : %d, "size" : %d' % (snapshot.received, size)
    if state is State.DONE:
        return b'"state" : "done"'
    if state is State.ERROR:
        return b'"state" : "error", "status" : %d' % _error_status(snapshot)
    return b'"state" : "starting"'


def render_apache(snapshot: Snapshot, callback: bytes | None = None, identifier: str = "") -> bytes:
    """Render the object of Apache's module, or the call of a function with it."""
    found = _describe(snapshot, json.dumps(identifier)).encode()
    return b"%b\r\n" % found if callback is None else b"%b(%b);\r\n" % (callback, found)


def _describe(snapshot: Snapshot, uuid: str) -> str:
    state, received = snapshot.state, snapshot.received
    if state is State.ERROR:
        return f'{{ "state": "error", "status": {_error_status(snapshot)}, "uuid": {uuid} }}'
    # Of a body that comes chunked, the module takes what is here for the size.
    size = received if snapshot.request_size is None else snapshot.request_size
    started = snapshot.started // _SECOND
    if state is State.DONE:
        ended = snapshot.ended // _SECOND
        return (
            f'{{ "state": "done", "size": {size}, "speed": {_speed(received, ended - started)},'
            f' "started_at": {started}, "completed_at": {ended}, "uuid": {uuid} }}'
        )
    if not received:
        return f'{{ "state" : "starting", "uuid" : {uuid} }}'
    now = int(time.time())
    speed = _speed(received, now - started)
    eta = started + size // speed if speed else 0
    return (
        f'{{ "state": "uploading", "received": {received}, "size": {size}, "speed": {speed},'
        f' "started_at": {started}, "eta": {max(eta, now + 1)}, "uuid": {uuid} }}'
    )


def render_lighttpd1(
    snapshot: Snapshot, callback: bytes | None = None, identifier: str = ""
) -> bytes:
    """Render the XML of lighttpd 1's module, which forgets an upload at its end."""
    size = _NO_SIZE if snapshot.request_size is None else snapshot.request_size
    if snapshot.state is not State.RUNNING or not size:
        return b"not in progress"
    return (
        b'<?xml version="1.0" encoding="iso-8859-1"?>'
        b"<upload><size>%d</size><received>%d</received></upload>"
    ) % (size, snapshot.received)


def _speed(received: int, seconds: int) -> int:
    """Return bytes a second, as the module calculates them: 0 in the first second."""
    return received // seconds if seconds > 0 else 0


def _error_status(snapshot: Snapshot) -> int:
    return snapshot.status if snapshot.status >= FIRST_ERROR_STATUS else _CUT
