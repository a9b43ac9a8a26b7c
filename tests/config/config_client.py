"""A client whose requests run through the actions of a configuration."""

from types import SimpleNamespace
from typing import NamedTuple

from mod_progress.gateway.exchange import Action, Exchange
from mod_progress.gateway.http.heads import Refusal
from mod_progress.gateway.http.request import RequestHead, parse_request
from mod_progress.gateway.limits import HeadLimits
from mod_progress.gateway.streams.body import Body
from mod_progress.tracker import Tracker


class Answer(NamedTuple):
    status: int
    fields: dict[str, str]
    body: str


class Client:
    """A client: all that conditions and actions see of its connection."""

    def __init__(
        self,
        peer: tuple[str, int] = ("192.0.2.1", 50000),
        local: tuple[str, int] = ("127.0.0.1", 8080),
        scheme: str = "http",
    ) -> None:
        self.peer = peer
        self.local = local
        self.scheme = scheme
        self.trusted = False
        self.lost = False
        self.state = SimpleNamespace(tracker=Tracker(), ticker=None, date=b"", draining=False)
        self.sent = b""

    def write(self, data: bytes) -> None:
        self.sent += data

    def origin_of(self, request: RequestHead) -> tuple[str, int]:
        return self.peer

    def unacknowledged(self) -> int:
        return 0

    def exchange(self, head: str) -> Exchange:
        """Return the exchange of a request: its request line, and its fields below it."""
        lines = head.strip().splitlines()
        if not any(line.lower().startswith("host:") for line in lines):
            lines.append("Host: example.com")
        raw = "".join(f"{line}\r\n" for line in lines) + "\r\n"
        request = parse_request(raw.encode("latin-1"), HeadLimits())
        return Exchange(self, self, request, Body(None, 0))  # type: ignore[arg-type]

    def ask(self, action: Action, head: str = "GET / HTTP/1.1") -> Answer | None:
        """Return what the action answers; None where it leaves the request to others."""
        exchange = self.exchange(head)
        action(exchange)
        if exchange.handler is None:
            return None
        try:
            exchange.handler.handle(exchange)
        except Refusal as refusal:
            exchange.refuse(refusal)
        head, _, body = self.sent.decode("latin-1").partition("\r\n\r\n")
        status_line, *lines = head.splitlines()
        fields = dict(line.split(": ", 1) for line in lines)
        return Answer(int(status_line.split()[1]), fields, body)
