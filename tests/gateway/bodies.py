"""Bodies that are larger than the buffers between a client and a backend, sent in pieces."""

from __future__ import annotations

import hashlib
import select
from collections.abc import Callable
from contextlib import suppress

from tests.gateway.backend import Peer
from tests.gateway.running import PATIENCE
from tests.gateway.wire import Client

SIZE = 12_000_000
PIECE = b"0123456789abcdef" * 4096

#: More than all buffers of both systems between a client and a backend hold.
ENDLESS = 200_000_000


def send_body(
    send: Callable[[bytes], None],
    framing: str,
    size: int,
    before_last: Callable[[], None] = lambda: None,
) -> str:
    """Send a body in pieces, and return its digest."""
    digest = hashlib.sha256()
    for at in range(0, size, len(PIECE)):
        if at + len(PIECE) >= size:
            before_last()
        piece = PIECE[: size - at]
        digest.update(piece)
        send(piece if framing == "sized" else b"%x\r\n%b\r\n" % (len(piece), piece))
    if framing == "chunked":
        send(b"0\r\n\r\n")
    return digest.hexdigest()


def pour(send: Callable[[bytes], None], framing: str) -> None:
    """Send a body that has no end, until the other side is gone."""
    chunk = PIECE if framing == "sized" else b"%x\r\n%b\r\n" % (len(PIECE), PIECE)
    with suppress(OSError):
        while True:
            send(chunk)


def fill(client: Client, framing: str) -> None:
    """Send until nothing more is taken for a while, or enough for a backend that reads."""
    piece = PIECE if framing == "sized" else b"10000\r\n%b\r\n" % PIECE
    client.socket.settimeout(0.2)
    with suppress(TimeoutError):
        for _ in range(400):
            client.socket.sendall(piece)
    client.socket.settimeout(PATIENCE)


def until_gone(peer: Peer) -> None:
    """Wait until the gateway resets the connection, without reading from it."""
    poll = select.poll()
    poll.register(peer.connection, 0)
    if poll.poll(PATIENCE * 1000):
        peer.ending = "reset"
