"""Questions about what has changed: If-None-Match (RFC 9110), and ``Prefer: wait`` (RFC 7240).

An answer to such a question has an ETag. The next question sends it as If-None-Match. Where nothing
has changed since, it gets 304; with ``Prefer: wait=20`` only after it has waited 20 seconds for a
change. Preference-Applied says that the server does wait, and for how long.
"""

from __future__ import annotations

import threading
from concurrent.futures import Future

from mod_progress.futures import map_future
from mod_progress.show.answer import Answer
from mod_progress.show.formats import COMMON_FIELDS, Fields
from mod_progress.show.question import Inquiry
from mod_progress.show.ticker import Ticker, Watcher, make_tag
from mod_progress.tracker import Tracker
from mod_progress.transfer import Snapshot


class LongPoll(Watcher):
    """A question that waits for news. `answer` is a future of the answer."""

    __slots__ = ("_inquiry", "_lock", "_settled", "_ticker", "answer")

    def __init__(self, inquiry: Inquiry, ticker: Ticker) -> None:
        super().__init__()
        self._inquiry = inquiry
        self._ticker = ticker
        # The ticker's thread and one that ends the ticker may both wake it at the same moment.
        self._lock = threading.Lock()
        self._settled = False
        self.answer: Future[Answer] = Future()
        self.answer.add_done_callback(lambda _: ticker.leave(self))
        self.time = self.until = ticker.clock() + inquiry.wait
        ticker.watch(self, [inquiry.identifier])

    def wake(self) -> None:
        """Answer, where there is news or the time is over."""
        self.due = False
        over = self._ticker.ending or self._ticker.clock() >= self.until
        (topic,) = self.topics
        if topic.reading is not None:
            self._settle(topic.reading.snapshot, over)
        elif over:
            self._look()

    def _look(self) -> None:
        """Answer without the ticker, which has not looked yet."""
        tracker = self._ticker.tracker
        found = tracker.look(self._inquiry.identifier)
        if isinstance(found, Snapshot):
            self._settle(found)
        else:
            map_future(found, self._settle, tracker.lookup_failed)

    def _settle(self, snapshot: Snapshot, over: bool = True) -> None:
        """Answer, once, where there is news or the time is over."""
        answer = compare(self._inquiry, snapshot, waits=True)
        if not over and answer.status != 200:
            return
        with self._lock:
            if self._settled:
                return
            self._settled = True
        if self.answer.set_running_or_notify_cancel():
            self.answer.set_result(answer)


def answer_changes(
    inquiry: Inquiry, tracker: Tracker, ticker: Ticker | None
) -> Answer | Future[Answer]:
    """Answer what the client does not have, or 304. Without a ``ticker`` nothing waits."""
    waits = ticker is not None and inquiry.wait > 0
    if ticker is not None and waits and inquiry.known is not None:
        return LongPoll(inquiry, ticker).answer
    found = tracker.look(inquiry.identifier)
    if isinstance(found, Snapshot):
        return compare(inquiry, found, waits)
    return map_future(
        found, lambda snapshot: compare(inquiry, snapshot, waits), tracker.lookup_failed
    )


def compare(inquiry: Inquiry, snapshot: Snapshot, waits: bool) -> Answer:
    """Return the answer of this moment, or 304 where it is the one that the client has."""
    body = inquiry.render(snapshot)
    tag = f'"{make_tag(body)}"'
    fields: Fields = (("ETag", tag),)
    if waits:
        fields += (("Preference-Applied", f"wait={inquiry.wait}"),)
    known = inquiry.known or b""
    # A proxy that compresses marks the tag: Apache makes "tag" to "tag-gzip", nginx to W/"tag".
    if tag[:-1].encode() in known or known.strip() == b"*":
        return Answer(304, (*COMMON_FIELDS, *fields), b"")
    return Answer(200, (*inquiry.form.fields, *fields), body)
