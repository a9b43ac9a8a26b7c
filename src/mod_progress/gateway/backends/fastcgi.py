"""A backend that speaks FastCGI, such as PHP's php-fpm."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterable
from contextlib import suppress
from functools import partial
from typing import Any

from mod_progress.gateway.backends.cgi import CgiBackend
from mod_progress.gateway.backends.cgi_exchange import CgiConnection
from mod_progress.gateway.backends.cgi_output import Output
from mod_progress.gateway.backends.cgi_variables import Variable
from mod_progress.gateway.backends.pool import ConnectionPool
from mod_progress.gateway.http.fastcgi import (
    ABORT_REQUEST,
    LONGEST_CONTENT,
    STDIN_END,
    ProtocolStatus,
    RecordDecoder,
    begin_request,
    params,
    stdin_header,
)
from mod_progress.gateway.http.heads import Refusal
from mod_progress.gateway.state import ServerState
from mod_progress.gateway.streams.body import Body
from mod_progress.gateway.streams.errors import Cut
from mod_progress.gateway.streams.records import Records

logger = logging.getLogger("mod_progress.gateway")

#: Bytes of the longest line of an application's error stream that is logged as one.
_LONGEST_LINE = 8 * 1024

#: Lines of it that are logged of one piece of output: an application may send thousands.
_MOST_LINES = 100

#: The most bytes of framed output that are decoded at once.
_PIECE = 256 * 1024


class FastCgiBackend(CgiBackend["FastCgiConnection"]):
    """Serves exchanges by the FastCGI application at an address."""

    def __init__(self, address: str, keep_alive: bool = False) -> None:
        """Take an address as `CgiBackend` does.

        ``keep_alive`` lets connections be used again. A kept connection occupies a process of an
        application such as php-fpm, which then serves nobody else.
        """
        super().__init__(address, partial(FastCgiConnection, keep_alive=keep_alive))


class FastCgiConnection(CgiConnection):
    """One connection to a FastCGI application; one request at a time goes over it."""

    __slots__ = ("_keep_alive",)

    frame = Records(stdin_header, LONGEST_CONTENT)
    end_of_body = STDIN_END

    def __init__(self, pool: ConnectionPool[Any], state: ServerState, *, keep_alive: bool) -> None:
        super().__init__(pool, state)
        self._keep_alive = keep_alive

    def head(self, variables: Iterable[Variable]) -> bytes:
        """Begin a request."""
        return begin_request(self._keep_alive) + params(variables)

    def output(self) -> FastCgiOutput:
        """Return the standard output of the request."""
        return FastCgiOutput(self)

    def give_up(self) -> None:
        """Tell the application to stop, and close."""
        if not self.gone:
            if self.writer is not None:
                self.writer.overdue(self)  # it stops at the end of a record
            self.write(ABORT_REQUEST)
            self.close()

    def leave(self, output: Output) -> None:
        """Keep the connection, if that was agreed and the application has ended the request."""
        if self._keep_alive and not output.finished:
            with suppress(Refusal):
                output.take()  # the end may be here, behind a body of a known length
        if self._keep_alive and output.finished:
            self.release()
        else:
            self.close()


class FastCgiOutput(Output):
    """The standard output of one request, until the application ends the request.

    What comes on the error stream goes to the log.
    """

    __slots__ = ("_decoder", "_held", "_line")

    def __init__(self, stream: FastCgiConnection) -> None:
        super().__init__(stream, 1)
        self._decoder = RecordDecoder()
        self._held = b""
        # The beginning of a line of the error stream.
        self._line = b""

    @property
    def at_hand(self) -> bool:
        """Whether more could be taken without waiting."""
        waiting = self._held or self._decoder.more or self.stream.buffer.size
        return bool(self.remaining and waiting)

    def take(self) -> bytes:
        """Return what is here; raises `Refusal` (502, 503) where the application is at fault."""
        decoder = self._decoder
        data, self._held = self._held, b""
        if not data and not decoder.finished:
            data = decoder.feed(b"" if decoder.more else self.stream.buffer.take(_PIECE))
            self._log(decoder)
            if decoder.finished:
                self._end()
        self.remaining = int(bool(self._held) or not decoder.finished)
        return self._counted(data)

    def put_back(self, data: bytes) -> None:
        """Keep it until it is taken again."""
        self._held = data + self._held
        self.remaining = 1

    def sized(self, length: int) -> Body:
        """Return a part of it."""
        return _Part(self, length)

    def _end_of_stream(self) -> None:
        raise Cut(self.stream, "the upstream closed before it ended the request")

    def _end(self) -> None:
        self.stream.buffer.put_back(self._decoder.rest)
        status = self._decoder.status
        if status is ProtocolStatus.OVERLOADED:
            raise Refusal(503, "the application is overloaded")
        if status is not ProtocolStatus.REQUEST_COMPLETE:
            raise Refusal(502, f"the application refused the request: {status.name}")

    def _log(self, decoder: RecordDecoder) -> None:
        """Log the whole lines of the error stream, and at the end of the request the rest too."""
        *lines, self._line = (self._line + decoder.stderr).split(b"\n")
        decoder.stderr = b""
        if len(self._line) > _LONGEST_LINE or (decoder.finished and self._line):
            lines.append(self._line)
            self._line = b""
        for line in lines[:_MOST_LINES]:
            logger.warning("%s: %s", self.stream, _printable(line))
        if len(lines) > _MOST_LINES:
            logger.warning("%s: %d more lines", self.stream, len(lines) - _MOST_LINES)


class _Part(Body):
    """The next bytes of the output, as many as the head of the response tells."""

    __slots__ = ("_output",)

    def __init__(self, output: FastCgiOutput, length: int) -> None:
        super().__init__(output.stream, length)
        self._output = output

    @property
    def at_hand(self) -> bool:
        """Whether more could be taken without waiting."""
        return bool(self.remaining) and self._output.at_hand

    def take(self) -> bytes:
        """Return what is here; raises `Cut` where the output is too short."""
        if not self.remaining:
            return b""
        data = self._output.take()
        if len(data) > self.remaining:
            self._output.put_back(data[self.remaining :])
            data = data[: self.remaining]
        if not data and self._output.finished:
            raise Cut(self.stream, "the answer is shorter than its Content-Length")
        self.remaining -= len(data)
        return self._counted(data)

    def _end_of_stream(self) -> None:
        raise Cut(self.stream, "the upstream closed in the middle of its answer")


_CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f-\x9f]")


def _printable(line: bytes) -> str:
    """Return a line without characters that a terminal could obey."""
    text = line.rstrip().decode("utf-8", "backslashreplace")
    return _CONTROL.sub(lambda found: f"\\x{ord(found[0]):02x}", text)
