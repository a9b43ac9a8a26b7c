"""Answers what a question asks for."""

from __future__ import annotations

from concurrent.futures import Future

from mod_progress.futures import map_future
from mod_progress.show.answer import Answer, present, refuse
from mod_progress.show.events import answer_subscription
from mod_progress.show.long_poll import answer_changes
from mod_progress.show.question import Asking, Subscription, Unanswerable
from mod_progress.show.ticker import Ticker
from mod_progress.tracker import Tracker
from mod_progress.transfer import Snapshot


def answer_inquiry(
    inquiry: Asking, tracker: Tracker, ticker: Ticker | None
) -> Answer | Future[Answer]:
    """Answer, at once or as a future: where the store is far away, or the question waits for news.

    Without a ``ticker`` nothing waits, as that would hold a thread of which there are few.
    """
    if isinstance(inquiry, Subscription):
        return answer_subscription(inquiry, tracker, ticker)
    if isinstance(inquiry, Unanswerable):
        return refuse(400, inquiry.reason)
    if not inquiry.is_plain:
        return answer_changes(inquiry, tracker, ticker)
    found = tracker.look(inquiry.identifier)
    if isinstance(found, Snapshot):
        return present(inquiry, found)
    return map_future(found, lambda snapshot: present(inquiry, snapshot), tracker.lookup_failed)
