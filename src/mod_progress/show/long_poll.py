"""Questions about what has changed: If-None-Match (RFC 9110), and ``Prefer: wait`` (RFC 7240).

An answer to such a question has an ETag. The next question sends it as If-None-Match. Where nothing
has changed since, it gets 304; with ``Prefer: wait=20`` only after it has waited 20 seconds for a
change. Preference-Applied says that the server does wait, and for how long.
"""

from __future__ import annotations

from concurrent.futures import Future

from mod_progress.futures import map_future
from mod_progress.show.answer import Answer
from mod_progress.show.formats import COMMON_FIELDS, Fields
from mod_progress.show.question import Inquiry
from mod_progress.show.ticker import Ticker, Watcher, make_tag
from mod_progress.tracker import Tracker
from mod_progress.transfer import UNKNOWN, Snapshot


class LongPoll(Watcher):
    """A question that waits for news. `answer` is a future of the answer."""

    __slots__ = ("_inquiry", "_ticker", "answer")

    def __init__(self, inquiry: Inquiry, ticker: Ticker) -> None:
        super().__init__()
        self._inquiry = inquiry
        self._ticker = ticker
        self.answer: Future[Answer] = Future()
        self.answer.add_done_callback(lambda _: ticker.leave(self))
        self.time = self.until = ticker.clock() + inquiry.wait
        ticker.watch(self, [inquiry.identifier])

    def wake(self) -> None:
        """Answer, where there is news or the time is over."""
        self.due = False
        over = self._ticker.ending or self._ticker.clock() >= self.until
        (topic,) = self.topics
        snapshot = UNKNOWN if topic.reading is None else topic.reading.snapshot
        answer = compare(self._inquiry, snapshot, waits=True)
        if (over or answer.status == 200) and self.answer.set_running_or_notify_cancel():
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
    if tag.encode() in known or known.strip() == b"*":
        return Answer(304, (*COMMON_FIELDS, *fields), b"")
    return Answer(200, (*inquiry.form.fields, *fields), body)
