"""One request and its response: what the actions look at and what they answer with."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Protocol

from mod_progress.framing import BODILESS
from mod_progress.gateway.client import Client
from mod_progress.gateway.http.chunked import LAST_CHUNK, encode_chunk
from mod_progress.gateway.http.edits import Edit, edit_lines
from mod_progress.gateway.http.forwarded import Node
from mod_progress.gateway.http.heads import Refusal, reason_phrase, response_head
from mod_progress.gateway.http.request import RequestHead
from mod_progress.gateway.streams.body import Body
from mod_progress.gateway.streams.relay import Frame
from mod_progress.identifier import FIELD, PARAMETER, find_parameters, shorten_in_url
from mod_progress.server_timing import SERVER_TIMING, ServerTiming
from mod_progress.show.origins import Origins
from mod_progress.transfer import Transfer

#: The field of an answer in words.
TEXT = b"Content-Type: text/plain; charset=utf-8\r\n"

#: Forbids a browser to guess another media type from the content, and to act on its guess.
NOSNIFF = b"X-Content-Type-Options: nosniff\r\n"

_TIMING_LINE = SERVER_TIMING.encode() + b": %b\r\n"

_CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"

#: Statuses whose reasons name a backend, which is no business of the client's.
_ABOUT_BACKENDS = frozenset({502, 504})


class Handler(Protocol):
    """What answers a request: at once, or later where it has to wait."""

    def handle(self, exchange: Exchange) -> Awaitable[None] | None:
        """Answer. Raises `heads.Refusal` where the answer is no more than a status.

        With None and the exchange not finished, it is concluded by a callback of the handler's.
        """


class Postponed(Exception):
    """An action has to wait before it can tell. Then all actions run again."""

    def __init__(self, wait: Callable[[], Awaitable[None]]) -> None:
        super().__init__("an action has to wait")
        #: What to wait for. What it raises is answered as if an action had raised it.
        self.wait = wait


class FileSender(Protocol):
    """What sends a file in a backend's place, as its field X-Sendfile asks for."""

    def send(
        self, exchange: Exchange, path: bytes, content_type: bytes | None, lines: bytes
    ) -> Awaitable[None] | None:
        """Answer with the file; ``lines`` are the backend's fields. Raises `heads.Refusal`."""


class Abandoned(Protocol):
    """What serves an exchange without a task, and is told where the client goes."""

    def abandon(self) -> None:
        """Stop: nobody waits for the answer any more."""

    def client_ended(self) -> None:
        """Learn that the client will send nothing more. It may still read."""


class Owner(Protocol):
    """What runs an exchange: the connection that the request came on."""

    def resume(self, exchange: Exchange, work: Awaitable[None]) -> None:
        """Let a task do the work, and conclude the exchange after it."""

    def fail(self, exchange: Exchange, error: Exception) -> None:
        """Answer with the error's status where that is still possible; else the response is cut."""

    def conclude(self, exchange: Exchange) -> None:
        """The response is handed over, or it is cut: go on with the next request."""


class Exchange:
    """One request on a connection, from its head until its response is handed over.

    The actions of the configuration run first, each once, in order; one of them may put itself,
    or another, into `handler`. Then the handler answers: with `respond`, or with `start`, any
    number of `send`, and `finish`.
    """

    __slots__ = (
        "_remote",
        "bodiless",
        "body",
        "buffer_request_body",
        "chunked",
        "client",
        "docroot",
        "edits",
        "fallback",
        "finished",
        "handler",
        "keep_alive",
        "options",
        "origins",
        "owner",
        "path_identifier",
        "path_info",
        "physical_path",
        "quick",
        "request",
        "sendfile",
        "started",
        "timing",
        "tracker",
        "transfer",
        "user",
    )

    def __init__(self, client: Client, owner: Owner, request: RequestHead, body: Body) -> None:
        self.client = client
        self.owner = owner
        self.request = request
        self.body = body
        body.count = self.received
        self.tracker = client.state.tracker
        self._remote: Node | None = None
        #: The tracking options that are in force for this request.
        self.options = self.tracker.options
        #: The pages of other origins that may read what is said of a transfer; None: no pages.
        self.origins: Origins | None = None
        #: The counters. `progress.track` replaces them by those of a transfer in the table.
        self.transfer = Transfer("", request.body_size)
        #: What measures the request where its response has the field Server-Timing.
        self.timing: ServerTiming | None = None
        self.handler: Handler | None = None
        #: What answers where no action took the request.
        self.fallback: Handler | None = None
        #: The id that an action has found in the path, percent-decoded.
        self.path_identifier: bytes | None = None
        #: The changes of the response's fields, in order.
        self.edits: tuple[Edit, ...] = ()
        #: The directory that `docroot` names, and the file below it that the path leads to.
        self.docroot: str | None = None
        self.physical_path: str | None = None
        #: What follows the file in the path, where `pathinfo` has split it.
        self.path_info = ""
        #: The user whose password was checked.
        self.user: bytes | None = None
        #: What sends a file that a backend names in its answer; None: nothing does.
        self.sendfile: FileSender | None = None
        #: Whether a backend gets the request only when its whole body is here.
        self.buffer_request_body = False
        #: What serves the exchange without a task, and is told where the client goes.
        self.quick: Abandoned | None = None
        #: Whether the head of the final response went out, and whether all of the response did.
        self.started = False
        self.finished = False
        #: Whether the response has no body, and whether the connection serves another request.
        self.bodiless = False
        self.keep_alive = request.keep_alive
        #: Whether the response's body goes out in the chunked coding.
        self.chunked = False

    @property
    def remote(self) -> Node:
        """Address and port of the client; behind trusted front proxies, of the client of these.

        ("", -1) on a Unix socket, and where a front proxy hides it.
        """
        if self._remote is None:
            self._remote = self.client.origin_of(self.request)
        return self._remote

    @property
    def identifier_field(self) -> bytes | None:
        """The value of the request's header field that may carry the id."""
        return self.request.named.get(FIELD)

    @property
    def logged_target(self) -> str:
        """The request target as the client sent it, with each id cut short: for logs."""
        request = self.request
        identifiers = [self.path_identifier]
        if request.original is not None:  # an action may have moved the id
            identifiers += [self.identifier_field, *find_parameters(request.query, PARAMETER)]
        known = [each for each in identifiers if each]
        return shorten_in_url(request.as_received.target, known).decode("latin-1")

    def begin_again(self) -> None:
        """Forget what the actions have set that they would set anew, as they run once more."""
        self.handler = self.fallback = None
        self.edits = ()
        self.docroot = self.physical_path = None
        self.path_info = ""
        self.request = self.request.as_received

    def received(self, size: int) -> None:
        """Count ``size`` more bytes of the request's body."""
        transfer = self.transfer
        transfer.received += size
        if transfer.request_size is None and self.body.finished:
            transfer.request_ended()

    def measure(self) -> None:
        """Let the response say how long the request took."""
        self.timing = ServerTiming(self.request.body_size)
        self.body.count = self._received_measured

    def _received_measured(self, size: int) -> None:
        self.received(size)
        if self.timing is not None and self.body.finished:
            self.timing.body_ended()

    def sent(self, size: int) -> None:
        """Count ``size`` more bytes of the response's body, handed over for the client."""
        self.transfer.written += size

    @property
    def frame(self) -> Frame | None:
        """What the next bytes of the response's body are framed by, where they are relayed."""
        return encode_chunk if self.chunked else None

    def invite(self) -> None:
        """Ask for the body where the client waits for that (100 Continue).

        A handler that reads the body itself calls this. Nothing is sent where the body is coming
        already, or after an answer (RFC 9110, section 10.1.1).
        """
        waiting = not self.started and not self.body.finished and not self.client.buffer.size
        if self.request.expects_continue and waiting:
            self.client.write(_CONTINUE)

    def respond(self, status: int, body: bytes = b"", lines: bytes = b"") -> None:
        """Answer with a whole response; ``lines`` are its fields, each with its CRLF."""
        if not self.body.finished:
            self.body.discard()
        head = self._head(status, lines, len(body))
        if not self.bodiless:
            self.transfer.written = len(body)
            head += body
        self.client.write(head)
        self.finished = True

    def refuse(self, refusal: Refusal, lines: bytes = b"") -> None:
        """Answer in words that the request cannot be served, and why."""
        self.respond(refusal.status, _in_words(refusal), TEXT + NOSNIFF + lines)

    def start(
        self,
        status: int,
        lines: bytes,
        size: int | None,
        first: bytes = b"",
        *,
        dated: bool = False,
    ) -> None:
        """Send the head of the final response, and with it what is here of the body.

        ``size`` is the Content-Length, if there is one; ``dated`` tells that the lines have a Date.
        """
        head = self._head(status, lines, size, dated=dated)
        if first and not self.bodiless:
            head += encode_chunk(first) if self.chunked else first
            self.transfer.written += len(first)
        self.client.write(head)

    def switch(self, head: bytes) -> None:
        """Send the head of a 101 response: what follows is not HTTP."""
        self.client.write(head)
        self.started = True
        self.keep_alive = False
        self.transfer.response_started(101, None)

    async def send(self, data: bytes) -> None:
        """Send the next bytes of the response's body, and wait while the client does not read."""
        self.send_now(data)
        await self.client.drain()

    def send_now(self, data: bytes) -> None:
        """Send the next bytes of the response's body, however much waits for the client to read."""
        if data and not self.bodiless:
            self.client.write(encode_chunk(data) if self.chunked else data)
            self.transfer.written += len(data)

    def finish(self) -> None:
        """The response is whole."""
        if self.chunked:
            self.client.write(LAST_CHUNK)
        self.finished = True

    def _head(self, status: int, lines: bytes, size: int | None, *, dated: bool = False) -> bytes:
        request = self.request
        if self.client.lost:
            self.client.check()  # no status was sent where nobody is there to get one
        self.started = True
        self.bodiless = request.method == "HEAD" or status in BODILESS
        if size is not None:
            framing = b"" if status == 204 else b"Content-Length: %d\r\n" % size
        elif self.bodiless:
            framing = b""
        elif request.minor:
            self.chunked = True
            framing = b"Transfer-Encoding: chunked\r\n"
        else:
            self.keep_alive = False  # RFC 9112, section 6.3: the body ends with the connection
            framing = b""
        self.transfer.response_started(status, 0 if self.bodiless else size)
        date = b"" if dated else self.client.state.date
        if self.timing is not None:
            lines += _TIMING_LINE % self.timing.value().encode()
        if self.edits:
            lines = edit_lines(lines, self.edits)
        return response_head(status, (date, lines, framing, self._persistence()))

    def _persistence(self) -> bytes:
        """Tell the client whether another request is served (RFC 9112, section 9.3)."""
        if not self.body.finished or self.client.state.draining:
            self.keep_alive = False
        if not self.keep_alive:
            return b"Connection: close\r\n"
        return b"" if self.request.minor else b"Connection: keep-alive\r\n"


#: What a configuration compiles to: called with each request, in the order of the configuration.
Action = Callable[[Exchange], None]


class Answering:
    """An action that answers any request that nothing has answered before it."""

    __slots__ = ()

    def __call__(self, exchange: Exchange) -> None:
        """Take the request."""
        if exchange.handler is None:
            exchange.handler = self

    def handle(self, exchange: Exchange) -> Awaitable[None] | None:
        """Answer."""
        raise NotImplementedError


class _NotFound:
    """What answers where nothing in the configuration does."""

    def handle(self, exchange: Exchange) -> None:
        raise Refusal(404, "no action of the configuration answers this request")


NOT_FOUND: Handler = _NotFound()


@dataclass(frozen=True, slots=True)
class MethodNotAllowed:
    """Answers 405 with the methods that there are (RFC 9110, section 15.5.6)."""

    methods: tuple[str, ...]

    def handle(self, exchange: Exchange) -> None:
        """Refuse."""
        allowed = ", ".join(self.methods)
        refusal = Refusal(405, f"this address takes {allowed}")
        exchange.refuse(refusal, b"Allow: %b\r\n" % allowed.encode())


def refusal_response(refusal: Refusal, date: bytes) -> bytes:
    """Serialise the answer to bytes that are no request. The connection closes after it."""
    body = _in_words(refusal)
    framing = b"Content-Length: %d\r\nConnection: close\r\n" % len(body)
    return response_head(refusal.status, (date, TEXT, NOSNIFF, refusal.lines, framing)) + body


def _in_words(refusal: Refusal) -> bytes:
    words = b"%d %b" % (refusal.status, reason_phrase(refusal.status))
    if refusal.status not in _ABOUT_BACKENDS:
        words += b": " + refusal.reason.encode("utf-8", "replace")
    return words + b"\n"
