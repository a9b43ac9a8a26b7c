"""The format ``dump`` as a stream of Server-Sent Events: a list that is kept up to date.

The events are those of `live_list`. The stream ends by itself within a minute. Who comes back is
asked for the permission again, and is sent the whole list.
"""

from __future__ import annotations

import random
import threading
from collections.abc import Callable

from mod_progress.fork import renew_after_fork
from mod_progress.show.answer import Answer, refuse
from mod_progress.show.events import BEGIN, LEAST_LIFE, MOST_LIFE
from mod_progress.show.formats import EVENTS
from mod_progress.show.live_list import LiveList, Topic
from mod_progress.show.ticker import Post, Ticker, Watcher

__all__ = ["MOST_LISTS", "MOST_STREAMED", "MOST_STREAMS", "ListStream", "LiveLists"]

#: The most transfers of one stream.
MOST_STREAMED = 5000

#: The most streams of a process, and the most lists that they are about: as many as the store looks
#: for in one walk over its entries.
MOST_STREAMS = 100
MOST_LISTS = 8

#: The answer where one more stream would be too many.
TOO_MANY_STREAMS = refuse(503, "too many watch the list here: ask for it again and again")


class LiveLists:
    """The lists of a process that somebody watches. Safe to use from any thread."""

    def __init__(self, ticker: Ticker) -> None:
        self.ticker = ticker
        self.after_fork()
        renew_after_fork(self)

    def after_fork(self) -> None:
        """Know no lists: those of the parent are watched in the parent."""
        # Reentrant, as a garbage collection may close a stream while the lock is held.
        self._lock = threading.RLock()
        self._lists: dict[Topic, LiveList] = {}

    def answer(self, topic: Topic) -> Answer:
        """Return a stream, or say that there are too many."""
        with self._lock:
            streams = sum(len(each.watchers) for each in self._lists.values())
            full = topic not in self._lists and len(self._lists) >= MOST_LISTS
        if full or streams >= MOST_STREAMS:
            return TOO_MANY_STREAMS
        return Answer(200, EVENTS.fields, ListStream(self, topic))

    def join(self, watcher: Watcher, topic: Topic) -> LiveList:
        """Wake ``watcher`` when there is news of a list, which is returned, until it leaves."""
        with self._lock:
            found = self._lists.get(topic)
            joined = found or LiveList(self.ticker, topic)
            self._lists[topic] = joined
            joined.watchers.add(watcher)
        if found is None:
            self.ticker.watch(joined, ())
        return joined

    def leave(self, watcher: Watcher, topic: Topic) -> None:
        """Wake ``watcher`` no longer; forget a list that nobody else watches."""
        with self._lock:
            left = self._lists.get(topic)
            if left is None:
                return
            left.watchers.discard(watcher)
            if left.watchers:
                return
            del self._lists[topic]
        self.ticker.leave(left)


class ListStream(Watcher):
    """The stream of one client: an `answer.Stream`."""

    __slots__ = ("_begun", "_call", "_list", "_lists", "_number", "_topic", "ended")

    def __init__(self, lists: LiveLists, topic: Topic) -> None:
        super().__init__()
        self._lists = lists
        self._topic = topic
        self._list: LiveList | None = None
        #: The number of the last event that the client has.
        self._number = 0
        self._begun = False
        self._call: Callable[[], object] = self.close
        self.ended = False

    def open(self, post: Post, wake: Callable[[], object]) -> None:
        """Begin to watch the list."""
        ticker = self._lists.ticker
        self.time = self.until = ticker.clock() + random.uniform(LEAST_LIFE, MOST_LIFE)
        self.post = post
        self._call = wake
        self._list = self._lists.join(self, self._topic)
        ticker.watch(self, ())

    def wake(self) -> None:
        """Have the front take what there is."""
        self._call()

    def close(self) -> None:
        """Stop watching."""
        self.ended = True
        self._lists.leave(self, self._topic)
        self._lists.ticker.leave(self)

    def dropped(self) -> None:
        """Stop watching, so that no list is kept for nobody."""
        self.close()

    def take(self) -> bytes:
        """Return the events that are new, or nothing."""
        self.due = False
        if self.ended or self._list is None:
            return b""
        begin = b"" if self._begun else BEGIN
        self._begun = True
        self._number, news = self._list.news_after(self._number)
        ticker = self._lists.ticker
        if ticker.ending or ticker.clock() >= self.until:
            self.close()
        return begin + news
