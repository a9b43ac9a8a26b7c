"""Pushes a stream of the show room to a client, without a task for each."""

from __future__ import annotations

from collections.abc import Callable

from mod_progress.gateway.exchange import Exchange
from mod_progress.show.answer import Stream

#: A client that has not acknowledged so many bytes is sent nothing more for the moment: it gets
#: the latest state later, instead of all the states that it has missed.
_MOST_UNREAD = 1024

#: Seconds after which it is looked whether the client has read.
_AGAIN = 0.2


class Push:
    """Sends a stream through an exchange that has not begun. ``done`` is called at its end."""

    __slots__ = ("_done", "_exchange", "_stream")

    def __init__(self, exchange: Exchange, stream: Stream, done: Callable[[], object]) -> None:
        self._exchange = exchange
        self._stream = stream
        self._done = done

    def begin(self, status: int, lines: bytes) -> None:
        """Send the head and the first part. What follows is sent when it comes."""
        exchange, stream = self._exchange, self._stream
        if not exchange.body.finished:
            exchange.body.discard()
        if exchange.request.method == "HEAD":
            exchange.start(status, lines, None)
            exchange.finish()
            return
        stream.open(exchange.client.loop.call_soon_threadsafe, self.wake)
        exchange.start(status, lines, None, stream.take())
        if stream.ended:
            exchange.finish()
        else:
            exchange.quick = self

    def wake(self) -> None:
        """Send what is new, if the client has taken what was sent before."""
        exchange, stream = self._exchange, self._stream
        if exchange.quick is not self:
            return
        if exchange.client.unacknowledged() > _MOST_UNREAD:
            exchange.client.loop.call_later(_AGAIN, self.wake)
            return
        exchange.send_now(stream.take())
        if stream.ended:
            self._finish()

    def client_ended(self) -> None:
        """End: nobody half-closes a connection to read on for a minute."""
        self._finish()

    def abandon(self) -> None:
        """Stop: the client is gone."""
        self._exchange.quick = None
        self._stream.close()

    def _finish(self) -> None:
        self.abandon()
        self._exchange.finish()
        self._done()
