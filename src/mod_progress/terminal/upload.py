"""Sends one request with a body, and counts what has left this machine."""

from __future__ import annotations

import json
import socket
import struct
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import httpcore
import httpx

from mod_progress.identifier import PARAMETER
from mod_progress.terminal import words
from mod_progress.terminal.body import Body, FileError
from mod_progress.terminal.client import Field, add_fields, open_client
from mod_progress.terminal.faults import describe, status_line
from mod_progress.transfer import FIRST_ERROR_STATUS, Snapshot, State

with suppress(ImportError):  # Windows has neither
    import fcntl
    import termios

#: Seconds until a connection is there. Nothing else has a limit: a person who waits can end it.
_CONNECT = 10.0

#: Bytes of an answer that are looked at for the reason of a refusal, and characters that are told.
_MOST_KEPT = 1 << 14
_MOST_TOLD = 200

#: Where programs say in JSON why they refuse: this project's, FastAPI's and Django REST's.
_REASONS = ("error", "detail")

#: How an answer begins that is none yet, such as 100 Continue.
_INFORMATIONAL = b"HTTP/1.1 1"

#: The ioctl that counts writes one number into this.
_NUMBER = struct.Struct("i")

#: The redirects that ask for the same request at another address (RFC 9110, section 15.4).
_MOVED = (301, 307, 308)


@dataclass(frozen=True, slots=True)
class Request:
    """What is to be sent where, under which id."""

    label: str
    method: str
    url: httpx.URL
    identifier: str
    body: Body
    fields: Sequence[Field] = ()
    #: Fields that are there unless ``fields`` has them.
    defaults: Mapping[str, str] = field(default_factory=dict)

    def headers(self) -> httpx.Headers:
        """Return the header fields that frame and describe the body, and the person's."""
        framing = {PARAMETER: self.identifier, "Content-Type": self.body.media_type}
        if self.body.size is not None:
            framing["Content-Length"] = str(self.body.size)
        return add_fields(httpx.Headers({**framing, **self.defaults}), self.fields)


class Outcome(NamedTuple):
    """How an upload ended."""

    #: The response's status; 0 where none came.
    status: int
    #: What to tell a person.
    said: str
    #: Whether the server was reached.
    reached: bool = True

    @property
    def success(self) -> bool:
        """Whether the server took it. A redirect after a form is a success."""
        return 0 < self.status < FIRST_ERROR_STATUS and self.status not in _MOVED


class Upload:
    """A request that is sent in a thread of its own.

    The client waits for sockets in the thread, as only then an answer that comes before the end of
    the request is read even where the server resets the connection after it.
    """

    def __init__(self, request: Request) -> None:
        self._request = request
        #: Whether there is a connection, and the first bytes go out.
        self.began = False
        #: Bytes handed to the system, and whether these are all.
        self._written = 0
        self._complete = False
        self._stream: httpcore.NetworkStream | None = None
        #: How it ended; None while it runs.
        self.outcome: Outcome | None = None
        self._thread = threading.Thread(target=self._run, name="upload", daemon=True)

    def start(self) -> None:
        """Begin to send."""
        self._thread.start()

    def abort(self) -> None:
        """Cut the connection, if it is still there."""
        if self.outcome is None and self._stream is not None:
            with suppress(OSError):
                self._stream.get_extra_info("socket").shutdown(socket.SHUT_RDWR)

    def snapshot(self) -> Snapshot:
        """Return how much has left this machine, as a transfer of its own."""
        outcome = self.outcome
        if outcome is not None and not outcome.success:
            return Snapshot(State.ERROR, status=outcome.status)
        sent = max(0, self._written - self._count_unsent())
        size = self._request.body.size
        if self._complete and sent == self._written:
            return Snapshot(State.DONE, sent, 0, sent)
        return Snapshot(State.RUNNING, sent, 0, size)

    def _run(self) -> None:
        try:
            self.outcome = self._send()
        except FileError as error:
            self.outcome = Outcome(0, str(error))
        except Exception as error:
            # Whatever it is, it is told: this is the end of a thread.
            self.outcome = self._fail(error)

    def _fail(self, error: Exception) -> Outcome:
        said = describe(error)
        if not self.began:
            return Outcome(0, said, reached=False)
        sent = words.size_of(self._written, self._request.body.size)
        return Outcome(
            0, f"it was cut after {sent}: {said}; it cannot be resumed yet, send it again"
        )

    def _send(self) -> Outcome:
        request = self._request
        timeout = httpx.Timeout(None, connect=_CONNECT)
        with (
            open_client(httpx.Client, request.fields, timeout) as client,
            client.stream(
                request.method,
                request.url,
                headers=request.headers(),
                content=self._pieces(),
                extensions={"trace": self._trace},
            ) as response,
        ):
            return self._judge(response)

    def _judge(self, response: httpx.Response) -> Outcome:
        said = status_line(response)
        outcome = Outcome(response.status_code, said)
        body = _read(response)
        reason = "" if outcome.success else find_reason(response, body)
        return outcome._replace(said=f"{said}: {reason}" if reason else said)

    def _pieces(self) -> Iterator[bytes]:
        self.began = True
        for piece in self._request.body.pieces():
            if self._has_answer():
                # This makes the client read the answer.
                raise httpcore.WriteError("the server answered before it had all")
            yield piece
            self._written += len(piece)
        self._complete = True

    def _has_answer(self) -> bool:
        """Whether the server has answered, or left.

        Over TLS nobody can tell, as the server sends tickets at the beginning.
        """
        stream = self._stream
        if stream is None or stream.get_extra_info("ssl_object") is not None:
            return False
        if not stream.get_extra_info("is_readable"):
            return False
        said = stream.get_extra_info("socket").recv(len(_INFORMATIONAL), socket.MSG_PEEK)
        return not said.startswith(_INFORMATIONAL)

    def _trace(self, _: str, info: Mapping[str, Any]) -> None:
        """Note the connection, when the client has made it."""
        made = info.get("return_value")
        if isinstance(made, httpcore.NetworkStream):
            self._stream = made

    def _count_unsent(self) -> int:
        """Return how many bytes the system has not brought to the server, or to a proxy.

        Linux alone tells that. Elsewhere what was handed to the system counts as sent.
        """
        if self._stream is None or sys.platform != "linux":
            return 0
        try:
            number = fcntl.ioctl(
                self._stream.get_extra_info("socket"), termios.TIOCOUTQ, bytes(_NUMBER.size)
            )
        except (OSError, ValueError):
            return 0  # it is closed
        (count,) = _NUMBER.unpack(number)
        return int(count)


def _read(response: httpx.Response) -> bytes:
    """Read a whole body, and return its beginning.

    A transfer is done when its client has the whole response.
    """
    begin = b""
    with suppress(httpx.HTTPError):  # the status says what matters
        for piece in response.iter_bytes():
            begin += piece[: _MOST_KEPT - len(begin)]
    return begin


def find_reason(response: httpx.Response, body: bytes) -> str:
    """Return what a refusal says about its reason: in plain text or in JSON."""
    kind = response.headers.get("Content-Type", "").partition(";")[0].strip().lower()
    text = body.decode(errors="replace") if kind == "text/plain" else ""
    if kind == "application/json":
        with suppress(ValueError, RecursionError):
            members = json.loads(body)
            reasons = [members.get(each) for each in _REASONS] if isinstance(members, dict) else []
            text = next((each for each in reasons if isinstance(each, str)), "")
    line = next(iter(text.strip().splitlines()), "")
    return line if len(line) <= _MOST_TOLD else f"{line[:_MOST_TOLD]}..."
