"""Looks at the watched transfers several times a second, and wakes whoever watches one that moved.

There is one ticker a tracker, which is one a process. It looks once at each transfer, however many
watch it, and asks the store for all of them in one batch. It runs in a daemon thread, which starts
with the first watcher and ends soon after the last.
"""

from __future__ import annotations

import hashlib
import math
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from functools import partial

from mod_progress.fault_log import FaultLog
from mod_progress.fork import renew_after_fork
from mod_progress.show.formats import render_json
from mod_progress.shutdown import Shutdown
from mod_progress.tracker import Tracker
from mod_progress.transfer import Snapshot, State

#: Seconds from one look to the next: at most 5 events a second.
TICK = 0.2

#: The part of a core that looking may take, and the part of an event loop's thread that serving
#: its watchers may take. The pause after a look is longer where either took long.
SHARE = 0.1
LOOP_SHARE = 0.25

#: Seconds for which new watchers are gathered, so that many who come at once share a look.
GATHER = 0.01

#: Seconds for which the thread stays when nobody watches.
LINGER = 5.0

#: Seconds to wait for a store that is far away. It promises an answer within one second.
PATIENCE = 2.0

#: Hands a call to the thread that serves a watcher, as `asyncio.loop.call_soon_threadsafe` does.
Post = Callable[[Callable[[], object]], object]


def call_here(call: Callable[[], object]) -> object:
    """Call at once, in the ticker's thread: a `Post` for what may be called from any thread."""
    return call()


class Reading:
    """How far a transfer was when the ticker looked."""

    __slots__ = ("body", "final", "frames", "snapshot", "tag")

    def __init__(self, snapshot: Snapshot) -> None:
        self.snapshot = snapshot
        #: The JSON of a show.
        self.body = render_json(snapshot)
        self.tag = make_tag(self.body)
        #: Whether the transfer has ended.
        self.final = snapshot.state in (State.DONE, State.ERROR)
        #: The events that were made of it, by their member and their id: see `events`.
        self.frames: dict[tuple[str, str], bytes] = {}


def make_tag(*bodies: bytes) -> str:
    """Return a short text that differs where the bodies do: the same in each process."""
    return hashlib.blake2b(b"\n".join(bodies), digest_size=6).hexdigest()


class Topic:
    """A transfer that somebody watches."""

    __slots__ = ("identifier", "reading", "watchers")

    def __init__(self, identifier: str) -> None:
        self.identifier = identifier
        #: None until the ticker has looked.
        self.reading: Reading | None = None
        self.watchers: set[Watcher] = set()


class Watcher:
    """Somebody who is woken when a transfer moves.

    `wake` is called through ``post`` after the first look, when a transfer has moved, when `time`
    has come, and when the ticker ends. It is not called again until ``due`` is false.
    """

    __slots__ = ("due", "post", "time", "topics", "until")

    def __init__(self, post: Post = call_here) -> None:
        self.post = post
        self.topics: tuple[Topic, ...] = ()
        #: Whether `wake` was called, or will be, for what the watcher has not seen yet.
        self.due = False
        #: When to wake it even if nothing has moved, by the ticker's clock.
        self.time = math.inf
        #: When it is to end, by the ticker's clock.
        self.until = math.inf

    def wake(self) -> None:
        """Look at the readings of the topics. Sets `due` to false before that."""
        raise NotImplementedError

    def dropped(self) -> None:
        """Nobody wakes it any more: to wake it failed."""


class Ticker:
    """Wakes watchers. Safe to use from any thread.

    Where a ``shutdown`` is near, the watchers have to end.
    """

    def __init__(
        self,
        tracker: Tracker,
        shutdown: Shutdown | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.tracker = tracker
        self.clock = clock
        self._shutdown = shutdown
        self._faults = FaultLog()
        self.after_fork()
        renew_after_fork(self)

    def after_fork(self) -> None:
        """Know no watchers: those of the parent are served by the parent."""
        # Reentrant, as a garbage collection may close a watcher while the lock is held.
        self._lock = threading.RLock()
        self._topics: dict[str, Topic] = {}
        self._watchers: set[Watcher] = set()
        self._arrived: list[Watcher] = []
        self._news = threading.Event()
        self._thread: threading.Thread | None = None
        self._next_tick = 0.0
        self._loop_cost = 0.0
        self._closed = False

    def watch(self, watcher: Watcher, identifiers: Iterable[str]) -> None:
        """Wake ``watcher`` when one of these transfers moves, until it leaves."""
        if self._shutdown is not None:
            self._shutdown.listen()
        with self._lock:
            watcher.topics = tuple(self._topic(identifier) for identifier in identifiers)
            for topic in watcher.topics:
                topic.watchers.add(watcher)
            self._watchers.add(watcher)
            self._arrived.append(watcher)
            started = self._thread is not None or self._start()
        if started:
            self._news.set()
        else:
            watcher.until = 0.0
            self.wake([watcher])

    def leave(self, watcher: Watcher) -> None:
        """Forget ``watcher``, and the transfers that nobody else watches."""
        with self._lock:
            if watcher not in self._watchers:
                return
            self._watchers.remove(watcher)
            for topic in watcher.topics:
                topic.watchers.discard(watcher)
                if not topic.watchers:
                    self._topics.pop(topic.identifier, None)

    def end(self) -> None:
        """Have all watchers end, and those that come from now on."""
        self._closed = True
        with self._lock:
            watchers = list(self._watchers)
        self.wake(watchers)

    @property
    def ending(self) -> bool:
        """Whether the watchers have to end."""
        return self._closed or (self._shutdown is not None and self._shutdown.is_near())

    def _topic(self, identifier: str) -> Topic:
        topic = self._topics.get(identifier)
        if topic is None:
            topic = self._topics[identifier] = Topic(identifier)
        return topic

    def _start(self) -> bool:
        """Start the thread; tell whether the system allows another one."""
        thread = threading.Thread(target=self._run, name="mod_progress ticker", daemon=True)
        try:
            thread.start()
        except RuntimeError:
            return False
        self._thread = thread
        return True

    def _run(self) -> None:
        last_used = self.clock()
        while True:
            try:
                self._round()
            except Exception as error:
                self._faults.report("watchers were not woken", error)
                time.sleep(TICK)
            now = self.clock()
            with self._lock:
                if self._watchers:
                    last_used = now
                elif now - last_used > LINGER:
                    self._thread = None
                    return

    def _round(self) -> None:
        """Wait for new watchers or the next tick, look, and wake whom it concerns."""
        if self._news.wait(max(0.0, min(self._next_tick - self.clock(), LINGER))):
            time.sleep(GATHER)
        now = self.clock()
        began = time.thread_time()
        with self._lock:
            self._news.clear()
            arrived, self._arrived = self._arrived, []
            ticks = now >= self._next_tick
            topics = list(self._topics.values()) if ticks else _topics_of(arrived)
            timed = [each for each in self._watchers if each.time <= now] if ticks else []
            if self.ending:
                timed = list(self._watchers)
        moved = self._look(topics)
        with self._lock:
            watching = [watcher for topic in moved for watcher in topic.watchers]
        self.wake([*arrived, *watching, *timed])
        if ticks:
            cost = time.thread_time() - began
            self._next_tick = now + max(TICK, cost / SHARE, self._loop_cost / LOOP_SHARE)

    def _look(self, topics: Sequence[Topic]) -> list[Topic]:
        """Take a new reading of each; return those that moved."""
        if not topics:
            return []
        found = self.tracker.look_many([topic.identifier for topic in topics])
        snapshots = found if isinstance(found, list) else found.result(PATIENCE)
        moved = []
        for topic, snapshot in zip(topics, snapshots, strict=True):
            if topic.reading is None or topic.reading.snapshot != snapshot:
                topic.reading = Reading(snapshot)
                moved.append(topic)
        return moved

    def wake(self, watchers: Iterable[Watcher]) -> None:
        """Wake those that are not awake, with one call to each thread that serves some."""
        due = defaultdict(list)
        for watcher in watchers:
            if not watcher.due:
                watcher.due = True
                due[watcher.post].append(watcher)
        for post, served in due.items():
            try:
                post(partial(self._wake_here, post, served))
            except Exception:  # the event loop is closed, and its watchers did not leave
                for watcher in served:
                    self._drop(watcher)

    def _wake_here(self, post: Post, watchers: Sequence[Watcher]) -> None:
        """Wake watchers in the thread that serves them, and note what that costs."""
        began = time.thread_time()
        for watcher in watchers:
            try:
                watcher.wake()
            except Exception as error:
                self._faults.report("a watcher is dropped", error)
                self._drop(watcher)
        if post is not call_here:
            # In an event loop the first of these calls comes after the tasks that were just woken,
            # and the second after the loop has written what they sent.
            post(partial(post, partial(self._note_cost, began)))

    def _drop(self, watcher: Watcher) -> None:
        self.leave(watcher)
        watcher.dropped()

    def _note_cost(self, began: float) -> None:
        self._loop_cost = time.thread_time() - began


def _topics_of(watchers: Iterable[Watcher]) -> list[Topic]:
    return list({topic: None for watcher in watchers for topic in watcher.topics})
