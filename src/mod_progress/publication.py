"""The transfers as the publisher sees them: what the store has of each, and what it lacks."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping, Sequence

from mod_progress.details import encode
from mod_progress.fault_log import FaultLog
from mod_progress.stores.cancelling import Cancelling
from mod_progress.stores.contract import LEASE, PublishResult, Store, StoreError, Update
from mod_progress.transfer import Snapshot, State, Transfer

__all__ = ["RENEWAL", "Publication", "Publications", "begun", "update_again", "write"]

#: The part of its size by which a transfer must have moved to be worth an update at once: one pixel
#: of a bar of 200.
VISIBLE = 0.005

#: Seconds after which a running entry's lease is renewed: two renewals may fail before it lapses.
RENEWAL = LEASE / 3

_NONE_REFUSED: Mapping[str, Exception] = {}


class Publication:
    """A transfer, and what was published of it."""

    __slots__ = (
        "_details",
        "ended_at",
        "moved",
        "published_at",
        "snapshot",
        "start",
        "transfer",
    )

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
        # Made with the first update, once for all.
        self._details: bytes | None = None

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
        transfer, first = self.transfer, self.snapshot is None
        if self._details is None:
            self._details = encode(transfer.details, transfer.identifier)
        return Update(transfer.identifier, self.start, snapshot, left, first, self._details)

    def published(self, snapshot: Snapshot, now: float) -> None:
        """Note that the store has ``snapshot``."""
        self.snapshot = snapshot
        self.published_at = now
        self.moved = snapshot.received + self.transfer.written


class Publications:
    """The transfers of this process that the store has to know, by id."""

    __slots__ = ("ended", "fresh", "running")

    def __init__(self) -> None:
        self.running: dict[str, Publication] = {}
        #: Those whose end the store does not have yet, oldest first.
        self.ended: OrderedDict[str, Publication] = OrderedDict()
        #: Those that started or ended since the last batch: they are in one of the others too.
        self.fresh: dict[str, Publication] = {}

    def enter(self, transfer: Transfer, start: int, now: float) -> None:
        """Enter a transfer that began at ``start``, or the end of one if ``start`` is 0."""
        identifier = transfer.identifier
        if start:
            self.ended.pop(identifier, None)
            publication = self.running[identifier] = Publication(transfer, start)
        else:
            known = self.running.get(identifier)
            if known is None or known.transfer is not transfer:
                return  # its end was entered before, or it was displaced just before it ended
            publication = known
        # Checked only now, since from here on `Publisher.ended` finds it among the running ones.
        if transfer.state is not State.RUNNING:
            publication.ended_at = now
            self.ended[identifier] = publication
            del self.running[identifier]
        self.fresh[identifier] = publication

    def find(self, transfer: Transfer) -> Publication | None:
        """Return the publication of a transfer, unless another one has its id now."""
        identifier = transfer.identifier
        found = self.running.get(identifier) or self.ended.get(identifier)
        return found if found is not None and found.transfer is transfer else None

    def cancel(self, store: Cancelling, faults: FaultLog) -> None:
        """Cancel the running transfers that other processes have asked this one to cancel."""
        try:
            for identifier, start in store.to_cancel():
                publication = self.running.get(identifier)
                if publication is not None and publication.start == start:
                    publication.transfer.cancel()
        except StoreError:
            pass  # to publish meets the fault too, and it is reported there
        except Exception as error:
            faults.report("other processes cannot cancel transfers of this one", error)

    def drop(self, publication: Publication) -> None:
        """Forget a publication."""
        identifier = publication.transfer.identifier
        for held in self.running, self.ended, self.fresh:
            if held.get(identifier) is publication:
                del held[identifier]
        if publication.ended_at:
            publication.transfer.end_published = True

    def limit_ended(self, most: int) -> None:
        """Forget the oldest ends beyond ``most``: the store may be away for long."""
        while len(self.ended) > most:
            self.ended.popitem(last=False)[1].transfer.end_published = True


def begun(snapshot: Snapshot) -> Snapshot:
    """Return the beginning of a transfer: no process can have told less of it."""
    return Snapshot(State.RUNNING, request_size=snapshot.request_size, started=snapshot.started)


def update_again(transfer: Transfer, left: float) -> Update:
    """Return the update that publishes a finished transfer to a store that may have lost it.

    ``left`` are the seconds for which it stays readable. With a start before all others, the update
    displaces no transfer.
    """
    identifier = transfer.identifier
    details = encode(transfer.details, identifier)
    return Update(identifier, 0, transfer.snapshot(), left, first=False, details=details)


def write(
    store: Store, updates: Sequence[Update], timeout: float
) -> tuple[PublishResult, Mapping[str, Exception]]:
    """Publish the updates; return the result, and the ids of invalid ones with the reasons.

    An exception that is no `StoreError` does not tell which update it is about. The updates are
    then published one by one. Raises `StoreError`.
    """
    try:
        return store.publish(updates, timeout), _NONE_REFUSED
    except StoreError:
        raise
    except Exception:
        return _write_singly(store, updates, timeout)


def _write_singly(
    store: Store, updates: Sequence[Update], timeout: float
) -> tuple[PublishResult, Mapping[str, Exception]]:
    result = PublishResult()
    refused: dict[str, Exception] = {}
    for update in updates:
        try:
            result.add(store.publish([update], timeout))
        except StoreError:
            raise
        except Exception as error:
            refused[update.identifier] = error
    return result, refused
