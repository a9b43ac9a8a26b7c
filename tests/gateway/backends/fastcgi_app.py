"""A FastCGI application of the tests' own, and what is asked of it."""

from __future__ import annotations

from tests.gateway.backend import Ended, Peer
from tests.gateway.fastcgi_records import (
    FastCgiRequest,
    Record,
    end,
    stdout,
    take_record,
    take_request,
)
from tests.gateway.fronts import Front

GET = b"GET /x?X-Progress-ID=i HTTP/1.1\r\nHost: a\r\n\r\n"
HEAD = GET.replace(b"GET", b"HEAD")
SIZED = b"POST /x?X-Progress-ID=i HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n"
CHUNKED = b"POST /x?X-Progress-ID=i HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
HEAD_OF_ANSWER = b"Content-Type: text/plain\r\n\r\n"

#: A whole answer.
OK = stdout(HEAD_OF_ANSWER + b"ok") + end()


class App:
    """An application that answers each connection's requests with bytes, and keeps the requests."""

    def __init__(self, *replies: bytes, byte_by_byte: bool = False) -> None:
        self.replies = replies
        self.byte_by_byte = byte_by_byte
        self.requests: list[FastCgiRequest] = []

    def __call__(self, peer: Peer) -> None:
        for reply in self.replies:
            self.requests.append(take_request(peer))
            if self.byte_by_byte:
                for at in range(len(reply)):
                    peer.send(reply[at : at + 1])
            else:
                peer.send(reply)
        peer.read_on()


def serve(front: Front, *replies: bytes, byte_by_byte: bool = False) -> App:
    app = App(*replies, byte_by_byte=byte_by_byte)
    front.backend.begin(app)
    return app


def until_aborted(peer: Peer, records: list[Record]) -> None:
    """Read until the gateway ends the connection; keep what came last."""
    try:
        while True:
            records[:] = [*records[-1:], take_record(peer)]
    except Ended:
        pass
