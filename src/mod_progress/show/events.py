"""The format ``events``: a stream of Server-Sent Events (HTML standard, section 9.2).

An event's data is the JSON of a show. One is sent at first, and whenever a transfer has moved.
Where the question names several ids, each event's data has the member ``id`` too, as it was asked
for. After the final state an event named ``end`` follows, and the stream ends.

The id of an event stands for all that the client has by then. A client that comes back sends it as
Last-Event-ID, and is not sent again what it has. Once it has the final state, it gets 204, at which
an EventSource stops.
"""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Sequence
from concurrent.futures import Future

from mod_progress.futures import map_future
from mod_progress.show.answer import Answer, refuse
from mod_progress.show.formats import COMMON_FIELDS, EVENTS
from mod_progress.show.question import Subscription
from mod_progress.show.ticker import Post, Reading, Ticker, Watcher, make_tag
from mod_progress.tracker import Tracker
from mod_progress.transfer import Snapshot, State

#: The most ids of one stream. It bounds what one request can make the ticker look at.
MOST_IDENTIFIERS = 100

#: Seconds after which a stream ends and the client comes back: chosen for each between these, so
#: that those who came together do not come back together.
LEAST_LIFE = 45.0
MOST_LIFE = 60.0

#: Seconds without an event after which a comment is sent, so that nothing in between gives the
#: stream up.
HEARTBEAT = 15.0

#: The first bytes: milliseconds after which an EventSource comes back. They go out at once, so that
#: the client knows that the stream is open.
BEGIN = b"retry: 1000\n\n"

_BEAT = b":\n\n"

_END = b"event: end\ndata: {}\n\n"

#: What the id of the last event begins with.
_FINAL = "end."

#: The answer to a client that has the final state: an EventSource does not come back.
NOTHING_MORE = Answer(204, COMMON_FIELDS, b"")

#: The answer where a stream would hold a thread, of which there are few.
NO_STREAM = refuse(
    406, "this server has too few threads to keep a stream open: poll in the format json"
)

#: The answer where a question names too many ids.
TOO_MANY = refuse(400, f"a stream is about {MOST_IDENTIFIERS} transfers at the most")


class EventStream(Watcher):
    """The stream of one client: an `answer.Stream`."""

    __slots__ = ("_asked", "_begun", "_call", "_last", "_seen", "_several", "_ticker", "ended")

    def __init__(self, ticker: Ticker, subscription: Subscription) -> None:
        super().__init__()
        self._ticker = ticker
        self._asked, self._several, self._last = subscription
        #: The readings that the client has.
        self._seen: Sequence[Reading | None] = [None] * len(self._asked)
        self._begun = False
        self._call: Callable[[], object] = self.close
        self.ended = False

    def open(self, post: Post, wake: Callable[[], object]) -> None:
        """Begin to watch the transfers."""
        now = self._ticker.clock()
        self.until = now + random.uniform(LEAST_LIFE, MOST_LIFE)
        self.time = now + HEARTBEAT
        self.post = post
        self._call = wake
        self._ticker.watch(self, [each.identifier for each in self._asked])

    def wake(self) -> None:
        """Have the front take what there is."""
        self._call()

    def close(self) -> None:
        """Stop watching."""
        self.ended = True
        self._ticker.leave(self)

    def take(self) -> bytes:
        """Return the events that are new, a comment after a long silence, or nothing."""
        self.due = False
        if self.ended:
            return b""
        parts = [] if self._begun else [BEGIN]
        self._begun = True
        parts += self._news()
        now = self._ticker.clock()
        if self._has_all():
            parts.append(_END)
            self.close()
        elif now >= self.until or self._ticker.ending:
            self.close()
        elif not parts and now >= self.time:
            parts.append(_BEAT)
        if parts:
            self.time = min(now + HEARTBEAT, self.until)
        return b"".join(parts)

    def _news(self) -> list[bytes]:
        """Return the events of the readings that the client does not have."""
        readings = [topic.reading for topic in self.topics if topic.reading is not None]
        if len(readings) < len(self._asked):
            return []  # the ticker has not looked yet
        new = [
            (reading, asked.name if self._several else "")
            for reading, seen, asked in zip(readings, self._seen, self._asked, strict=True)
            if reading is not seen
        ]
        if not new:
            return []
        self._seen = readings
        tag = make_event_id(readings)
        last, self._last = self._last, ""
        if tag == last:
            return []
        if len(readings) == 1:
            return [_event(*new[0], tag)]
        *others, final = new
        return [*(_event(*each) for each in others), _event(*final, tag)]

    def _has_all(self) -> bool:
        """Whether the client has the final state of each transfer."""
        return all(reading is not None and reading.final for reading in self._seen)


def _event(reading: Reading, name: str, tag: str = "") -> bytes:
    """Return an event. It is encoded once for all who are sent the same."""
    frame = reading.frames.get((name, tag))
    if frame is None:
        member = b'{"id": %b, ' % json.dumps(name).encode() if name else b"{"
        end = b"\nid: %b\n\n" % tag.encode() if tag else b"\n\n"
        frame = reading.frames[name, tag] = b"data: %b%b%b" % (member, reading.body[1:], end)
    return frame


def make_event_id(readings: Sequence[Reading]) -> str:
    """Return the id of the event by which a client has all these readings."""
    tag = readings[0].tag if len(readings) == 1 else make_tag(*(each.body for each in readings))
    return _FINAL + tag if all(each.final for each in readings) else tag


def answer_subscription(
    subscription: Subscription, tracker: Tracker, ticker: Ticker | None
) -> Answer | Future[Answer]:
    """Return a stream; or 204 where the client has the final state already.

    That takes a look, which is a future where the store is far away. Without a ``ticker`` there is
    no stream.
    """
    if ticker is None:
        return NO_STREAM
    if len(subscription.asked) > MOST_IDENTIFIERS:
        return TOO_MANY
    stream = Answer(200, EVENTS.fields, EventStream(ticker, subscription))
    if not subscription.last.startswith(_FINAL):
        return stream

    def decide(snapshots: Sequence[Snapshot]) -> Answer:
        return NOTHING_MORE if _has_ended(subscription.last, snapshots) else stream

    found = tracker.look_many([each.identifier for each in subscription.asked])
    return decide(found) if isinstance(found, list) else map_future(found, decide)


def _has_ended(last: str, snapshots: Sequence[Snapshot]) -> bool:
    """Whether a client whose last event was that of a final state has it still.

    The final state may be forgotten meanwhile. But the id may also have been used again.
    """
    states = {snapshot.state for snapshot in snapshots}
    if State.RUNNING in states:
        return False
    return State.UNKNOWN in states or make_event_id([*map(Reading, snapshots)]) == last
