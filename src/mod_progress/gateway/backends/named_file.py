"""A file that a backend names instead of sending it: the field X-Sendfile of its answer."""

from __future__ import annotations

from mod_progress.gateway.backends.forwarding import end_to_end
from mod_progress.gateway.exchange import Exchange
from mod_progress.gateway.http.response import ResponseHead

#: What the backend says of its own body, and what the file itself knows better.
_NOT_OF_FILE = frozenset(
    b"x-sendfile content-length content-type content-range accept-ranges etag last-modified"
    b" x-content-type-options date".split()
)


def names_file(exchange: Exchange, response: ResponseHead) -> bool:
    """Whether the answer names a file that is to be sent in its place."""
    return exchange.sendfile is not None and response.status == 200 and _field(response) != b""


def _field(response: ResponseHead) -> bytes:
    return response.named.get(b"x-sendfile", b"")


async def send_named_file(exchange: Exchange, response: ResponseHead) -> None:
    """Send the file, with the backend's other fields; raises `Refusal`."""
    assert exchange.sendfile is not None
    lines = b"".join(
        line
        for name, line in end_to_end(response.fields, response.connection)
        if name not in _NOT_OF_FILE
    )
    content_type = response.named.get(b"content-type")
    sending = exchange.sendfile.send(exchange, _field(response), content_type, lines)
    if sending is not None:
        await sending
