"""A transfer as the publisher sees it: what the store has of it, and when it needs an update."""

from __future__ import annotations

from mod_progress.stores.contract import LEASE, Update
from mod_progress.transfer import Snapshot, Transfer

__all__ = ["RENEWAL", "Publication"]

#: The part of its size by which a transfer must have moved to be worth an update at once: one pixel
#: of a bar of 200.
VISIBLE = 0.005

#: Seconds after which a running entry's lease is renewed: two renewals may fail before it lapses.
RENEWAL = LEASE / 3


class Publication:
    """A transfer, and what was published of it."""

    __slots__ = ("ended_at", "moved", "published_at", "snapshot", "start", "transfer")

    def __init__(self, transfer: Transfer, start: int) -> None:
        self.transfer = transfer
        #: Nanoseconds of ``time.monotonic_ns``.
        self.start = start
        #: What was published last; None before the first time.
        self.snapshot: Snapshot | None = None
        #: When that was, in seconds of ``time.monotonic``, and how many bytes had moved by then.
        self.published_at = 0.0
        self.moved = 0
        #: When the publisher learned of the end, in seconds; 0 while the transfer runs.
        self.ended_at = 0.0

    def due(self, now: float, calm: float) -> Snapshot | None:
        """Return the snapshot that is to be published now, or None.

        It is due if the lease must be renewed, or if the transfer changed: visibly, or at all in
        more than ``calm`` seconds.
        """
        transfer = self.transfer
        age = now - self.published_at
        if age < calm:
            moved = transfer.received + transfer.written - self.moved
            size = (transfer.request_size or 0) + (transfer.response_size or 0)
            if moved < VISIBLE * size:
                return None
        snapshot = transfer.snapshot()
        return snapshot if age >= RENEWAL or snapshot != self.snapshot else None

    def update(self, snapshot: Snapshot, ttl: float, now: float) -> Update:
        """Return the update that publishes ``snapshot``."""
        left = max(0.0, self.ended_at + ttl - now) if self.ended_at else ttl
        return Update(self.transfer.identifier, self.start, snapshot, left, self.snapshot is None)

    def published(self, snapshot: Snapshot, now: float) -> None:
        """Note that the store has ``snapshot``."""
        self.snapshot = snapshot
        self.published_at = now
        self.moved = snapshot.received + self.transfer.written
