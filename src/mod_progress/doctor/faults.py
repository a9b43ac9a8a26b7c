"""What can be wrong with the progress of an upload, and what to do about it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Fault:
    """One kind of fault; ``{show}`` and ``{detail}`` in its texts stand for what was found."""

    name: str
    what: str
    cure: str
    #: Whether something must be mended; else it is worth a look.
    serious: bool = True


NOT_SHOWN = Fault(
    "not shown",
    "Nothing shows progress at {show}: {detail}.",
    "Add ProgressMiddleware to the app, outside of what answers there now; or name its path with "
    "--show, if its parameter show= is another.",
)
NOT_TRACKED = Fault(
    "not tracked",
    "The upload is not tracked: {show} does not know its id, neither during the upload nor "
    "afterwards.",
    "Check that the parameter track= includes this path and methods= has POST. With debug=True the "
    "log says why a request is not tracked.",
)
REMOVED = Fault(
    "id removed",
    "An id in {detail} does not reach the app.",
    "A proxy or an app around this one removes it: let it pass, or send the id in another way.",
)
BUFFERED = Fault(
    "buffered",
    "The upload is held back until it is whole: {detail}.",
    "A proxy in between buffers it: for nginx, set `proxy_request_buffering off;` where it passes "
    "requests on. Or the server itself does: waitress, Daphne and Granian's WSGI do.",
)
NOT_SHARED = Fault(
    "not shared",
    "Some answers know the upload and some do not: there are several workers, and they do not "
    "share a table.",
    'Set store= to "local" (the default) on one machine and to a redis:// URL on several; '
    '"memory" shares nothing.',
)
REFUSED = Fault(
    "refused",
    "The app answered the upload with {detail}.",
    "The progress of such an upload is an error. Check that this is where the app takes uploads: "
    "the doctor sends a form with a file named `file`.",
)
MOVED = Fault(
    "moved",
    "The app did not take the upload here, it sends the client to another address: {detail}.",
    "Use that address, in the page and for the doctor.",
)
LOGIN = Fault(
    "login needed",
    "The app did not take the upload, it sends the client to a page to log in: {detail}.",
    "Log in with a browser, copy the session's cookie, and give it to the doctor: "
    "--header 'Cookie: NAME=VALUE'.",
)
REDIRECTED = Fault(
    "redirected",
    "The app answered the upload with {detail}.",
    "Many apps do so after an upload, and it counts as done. Check that this page is not there to "
    "tell of an error.",
    serious=False,
)
CACHED = Fault(
    "cached",
    "Answers come out of a cache: {detail}.",
    "A cache in between keeps them although they say `Cache-Control: no-store`: exempt {show}.",
)
NOT_ALLOWED = Fault(
    "not allowed",
    "A page of {detail} may not read the answers (CORS).",
    "Name its origin with the parameter allow_origins=.",
)
NO_STREAM = Fault(
    "no stream",
    "The app keeps no stream of events open: it answers {detail}.",
    "An EventSource stops at that, and pages have to poll, as the script of this package then "
    "does. An ASGI server, the gateway and gunicorn with gevent keep streams open.",
    serious=False,
)
STREAM_REFUSED = Fault(
    "stream refused",
    "The answer to who asks for a stream of events is {detail}.",
    "An EventSource stops at that. Let {show} and the header `Accept: text/event-stream` reach the "
    "app as they are.",
)
STREAM_HELD = Fault(
    "stream held back",
    "The events of the stream do not come when they are sent: {detail}.",
    "Something in between collects them. Let it pass on each event of {show} at once:",
)
STREAM_CUT = Fault(
    "stream cut",
    "The stream of events was cut {detail}.",
    "A stream says something every 15 seconds at least, and ends by itself after 45 to 60. Look "
    "for a shorter limit in between:",
)
STREAM_COMPRESSED = Fault(
    "stream compressed",
    "The stream of events is compressed ({detail}), although it says `no-transform`.",
    "The events came in time here, but they cost more time for each who watches, and others "
    "may get them late. To prevent it for {show}:",
    serious=False,
)
STREAM_CHANGED = Fault(
    "stream changed",
    "The stream of events says {detail} instead of `Cache-Control: no-store, no-transform`.",
    "Something in between replaces the field, so that whatever comes after it may compress the "
    "events, or keep them. Let the field of {show} pass as it is.",
    serious=False,
)
