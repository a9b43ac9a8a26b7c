"""What people see of a transfer: made of its snapshots and of the time that passes.

The rules are those of the class Meter in `web/progress.js`.
"""

from __future__ import annotations

from enum import StrEnum

from mod_progress.terminal.estimate import Estimate
from mod_progress.transfer import UNKNOWN, Snapshot, State

#: Seconds without a new byte, or without an answer, until a transfer is called stalled.
STALLED = 5.0

#: Seconds until there is a rate: before, it jumps.
FIRST_RATE = 1.0


class Phase(StrEnum):
    """The word for what a transfer does."""

    WAITING = "waiting"
    UPLOADING = "uploading"
    DOWNLOADING = "downloading"
    #: All bytes of the request are there, and the app is at work.
    PROCESSING = "processing"
    STALLED = "stalled"
    DONE = "done"
    FAILED = "failed"


_MOVING = (Phase.UPLOADING, Phase.DOWNLOADING)
_OVER = (Phase.DONE, Phase.FAILED)


class Meter:
    """A transfer as it is shown. All times are in seconds, by one clock of the caller."""

    def __init__(self) -> None:
        self.phase = Phase.WAITING
        #: The last one that was told.
        self.snapshot = UNKNOWN
        #: Bytes that are there.
        self.amount = 0
        #: All bytes; None while nobody knows how many.
        self.total: int | None = None
        #: Bytes a second; None where there is no rate to show.
        self.rate: float | None = None
        #: Seconds; None where nobody can tell.
        self.seconds_left: float | None = None
        #: When it began and when it was over.
        self.began: float | None = None
        self.ended: float | None = None
        self._estimate = Estimate()
        self._known_phase = Phase.WAITING
        self._moved = 0.0
        self._silent_since: float | None = None
        self._response_size = 0
        self._grows = False
        self._from_begin = False

    @property
    def over(self) -> bool:
        """Whether nothing changes any more."""
        return self._known_phase in _OVER

    @property
    def seen(self) -> bool:
        """Whether a server has known the transfer."""
        return self.began is not None or self.snapshot.state is not State.UNKNOWN

    @property
    def share(self) -> float | None:
        """How much is there, 0 to 1; None while nobody knows."""
        if self._known_phase is Phase.DONE:
            return 1.0
        if not self.total:
            return None
        return min(1.0, self.amount / self.total)

    @property
    def elapsed(self) -> float | None:
        """For how many seconds a transfer went that is over.

        None where its begin was not seen, or the end came too soon to tell.
        """
        if self.began is None or self.ended is None or not self._from_begin:
            return None
        elapsed = self.ended - self.began
        return elapsed if elapsed >= FIRST_RATE else None

    def update(self, snapshot: Snapshot, now: float) -> None:
        """Take in what the server says."""
        if self.over:
            return
        self._silent_since = None
        if snapshot.state in (State.RUNNING, State.DONE):
            self._count(snapshot, now)
        elif snapshot.state is State.UNKNOWN:
            self._from_begin |= not self.seen
        if snapshot.state is State.DONE:
            self._end(Phase.DONE, now)
        elif snapshot.state is State.ERROR or (snapshot.state is State.UNKNOWN and self.seen):
            self._end(Phase.FAILED, now)
        self.snapshot = snapshot
        self.tick(now)

    def lose(self, now: float) -> None:
        """Note that the server does not answer."""
        if self._silent_since is None:
            self._silent_since = now

    def give_up(self, now: float) -> None:
        """Note that nothing more will be told."""
        if not self.over:
            self._end(Phase.FAILED, now)
            self.snapshot = UNKNOWN
            self.tick(now)

    def tick(self, now: float) -> None:
        """See what the time changes."""
        moving = self._known_phase in _MOVING
        since = self._moved if moving else self._silent_since
        known = self.began is not None and not self.over
        stalled = known and since is not None and now - since >= STALLED
        self.phase = Phase.STALLED if stalled else self._known_phase
        self.rate = self.seconds_left = None
        if moving and not stalled and self.began is not None and now - self.began >= FIRST_RATE:
            rate = self._estimate.rate
            self.rate = rate if rate and rate > 0 else None
            self.seconds_left = self._estimate.seconds_to(self.total, now)

    def _end(self, phase: Phase, now: float) -> None:
        self._known_phase = phase
        self.ended = now

    def _count(self, snapshot: Snapshot, now: float) -> None:
        # Without a Content-Length, the size of a response is what was produced so far.
        self._grows |= 0 < self._response_size != snapshot.response_size
        self._response_size = snapshot.response_size
        download = snapshot.request_size == 0
        if download:
            amount, total = snapshot.sent, None if self._grows else snapshot.response_size
        else:
            amount, total = snapshot.received, snapshot.request_size
        at_work = amount == 0 if download else amount == total
        moving = Phase.DOWNLOADING if download else Phase.UPLOADING
        phase = Phase.PROCESSING if at_work else moving
        if self.began is None:
            self.began = now
            self._from_begin |= amount == 0
        if amount != self.amount or phase is not self._known_phase:
            self._moved = now
        self._known_phase, self.amount, self.total = phase, amount, total
        self._estimate.note(amount, now)
