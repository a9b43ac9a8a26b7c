"""The shortcut of a repeated poll: 3 times the rate of parsing the same question again.

A client that polls sends the same bytes each time, and on one connection they mean the same each
time. So the bytes are compared, and nothing is parsed. Where this shortcut does not answer, the
usual way does.
"""

from __future__ import annotations

from typing import NamedTuple

from mod_progress.gateway.actions.poll import Poll, field_lines
from mod_progress.gateway.exchange import Exchange
from mod_progress.gateway.http.edits import edit_lines
from mod_progress.gateway.state import ServerState
from mod_progress.show.question import Inquiry
from mod_progress.transfer import UNKNOWN, Snapshot, State, Transfer

_RESPONSE = b"HTTP/1.1 200 OK\r\n%b%bContent-Length: %d\r\n\r\n%b"


class _Response(NamedTuple):
    """A whole response, and what it was made of."""

    data: bytes
    date: bytes
    snapshot: Snapshot
    #: The running transfer of this process that the response describes, if it is one.
    transfer: Transfer | None


_NOTHING = _Response(b"", b"", UNKNOWN, None)


class RepeatedPoll:
    """Answers one poll whenever it comes again."""

    __slots__ = ("_inquiry", "_last", "_lines", "_request", "_state")

    def __init__(self, inquiry: Inquiry, request: bytes, state: ServerState, lines: bytes) -> None:
        """Take an inquiry that was answered, the bytes that asked it, and the answer's fields."""
        self._inquiry = inquiry
        self._lines = lines
        self._request = request
        self._state = state
        self._last = _NOTHING

    def answer(self, data: bytes) -> bytes | None:
        """Return the whole response to ``data``; None where the usual way has to answer."""
        if data != self._request:
            return None
        tracker, date = self._state.tracker, self._state.date
        last = self._last
        # A transfer of this process that has not moved is not even looked at.
        if (
            last.date is date
            and last.transfer is not None
            and last.transfer.unchanged(last.snapshot)
            and tracker.table.runs(last.transfer)
        ):
            return last.data
        snapshot = tracker.look(self._inquiry.identifier)
        if not isinstance(snapshot, Snapshot):
            return None
        if last.date is not date or last.snapshot != snapshot:
            last = self._last = self._render(snapshot)
        return last.data

    def _render(self, snapshot: Snapshot) -> _Response:
        inquiry, date = self._inquiry, self._state.date
        body = inquiry.render(snapshot)
        data = _RESPONSE % (date, self._lines, len(body), body)
        runs = snapshot.state is State.RUNNING
        transfer = self._state.tracker.table.find(inquiry.identifier) if runs else None
        return _Response(data, date, snapshot, transfer)


def repeated_poll(exchange: Exchange, request: bytes) -> RepeatedPoll | None:
    """Return what answers ``request``, which asked for this exchange, when it comes again.

    None where the same bytes may do more than ask, or where the connection closes.
    """
    poll, head = exchange.handler, exchange.request
    if (
        isinstance(poll, Poll)
        and isinstance(poll.inquiry, Inquiry)
        and poll.inquiry.is_plain
        and exchange.finished
        and exchange.keep_alive
        and head.method == "GET"
        and head.minor == 1
        and head.body_size == 0
        and not exchange.transfer.identifier
    ):
        lines = field_lines(poll.inquiry.form.fields)
        if exchange.origins is not None:
            lines += field_lines(exchange.origins.fields(head.named.get(b"origin")))
        if exchange.edits:
            lines = edit_lines(lines, exchange.edits)
        return RepeatedPoll(poll.inquiry, request, exchange.client.state, lines)
    return None
