"""What a CGI program writes: heads first, then the body of its response."""

from __future__ import annotations

from mod_progress.gateway.http.cgi import end_of_cgi_head, parse_cgi_response
from mod_progress.gateway.http.response import ResponseHead
from mod_progress.gateway.limits import HeadLimits
from mod_progress.gateway.streams.body import Body, UntilCloseBody
from mod_progress.gateway.streams.errors import Cut

#: Bytes before the end of what is here in which the end of a head may begin.
_BEFORE_END = len(b"\n\r\n") - 1


class Output(Body):
    """The output, without the framing of its protocol."""

    __slots__ = ()

    def put_back(self, data: bytes) -> None:
        """Let ``data``, which was taken last, be taken again."""
        raise NotImplementedError

    def sized(self, length: int) -> Body:
        """Return the next ``length`` bytes as a body."""
        raise NotImplementedError

    async def head(self, limits: HeadLimits) -> ResponseHead:
        """Wait for the next head, interim ones too; raises `Cut`, `Slow` or `Refusal` (502)."""
        held, scanned = b"", 0
        while not (end := end_of_cgi_head(held, scanned, limits)):
            scanned = max(0, len(held) - _BEFORE_END)
            data = await self.read()
            if not data:
                raise Cut(self.stream, "the upstream ended its answer before the end of a head")
            held += data
        if end < len(held):
            self.put_back(held[end:])
        return parse_cgi_response(held[:end], limits)


class StreamOutput(UntilCloseBody, Output):
    """The output of a program that has the connection to itself: it ends when that is closed."""

    __slots__ = ()

    def put_back(self, data: bytes) -> None:
        """Let the connection have it."""
        self.stream.buffer.put_back(data)

    def sized(self, length: int) -> Body:
        """Return a body that bypasses Python where it is large."""
        return Body(self.stream, length)
