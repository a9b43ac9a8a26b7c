"""All that a front needs: track a request, show a transfer."""

from __future__ import annotations

import logging
from concurrent.futures import Future
from typing import NamedTuple

from mod_progress.fork import renew_after_fork
from mod_progress.identifier import (
    CALLBACK_PARAMETER,
    PARAMETER,
    check_identifier,
    find_identifier,
    find_parameter,
    identify,
)
from mod_progress.options import Options
from mod_progress.publisher import Publisher
from mod_progress.show.formats import JSON, Format
from mod_progress.stores.contract import Store
from mod_progress.table import DEFAULT_CAPACITY, LookupTable
from mod_progress.transfer import UNKNOWN, Snapshot, State, Transfer

logger = logging.getLogger("mod_progress")


class Answer(NamedTuple):
    """What a show says: always status 200, with `formats.HEADERS`."""

    content_type: str
    body: bytes


class Tracker:
    """The options, the table of this process and the store behind it.

    Tracking never breaks, delays or refuses the request that it watches.
    """

    def __init__(
        self,
        options: Options | None = None,
        store: Store | None = None,
        capacity: int = DEFAULT_CAPACITY,
    ) -> None:
        self.options = options or Options()
        self.store = store
        self.table = LookupTable(self.options.ttl, capacity)
        self._publisher: Publisher | None = None
        if store is not None:
            self._publisher = Publisher(store, self.table)
            self.table.on_end = self._publisher.ended
        self._full = False
        renew_after_fork(self.table)

    def track(
        self,
        method: str,
        query: bytes,
        header: bytes | None,
        request_size: int | None,
        options: Options | None = None,
    ) -> Transfer | None:
        """Register a request that is to be tracked; None where it is not.

        ``header`` is the value of the request header `identifier.PARAMETER`, ``request_size`` the
        body's size in bytes, None while nobody knows it. ``options`` stand in for the tracker's
        own for this request; their ttl does not count.
        """
        options = options or self.options
        if method not in options.methods:
            if options.debug:
                tracked = ", ".join(sorted(options.methods))
                logger.debug("not tracked: the method is %s, tracked: %s", method, tracked)
            return None
        candidate = find_identifier(query, header)
        identifier = check_identifier(candidate)
        if identifier is None:
            if options.debug:
                logger.debug("not tracked: %s", _why_not(candidate))
            return None
        transfer = self.table.register(identifier, request_size)
        if transfer is None:
            self._say_full()
        else:
            self._full = False
            if self._publisher is not None:
                self._publisher.started(transfer)
            if options.debug:
                logger.debug("tracking %s %s", method, identifier)
        return transfer

    def show(
        self, query: bytes, header: bytes | None, form: Format = JSON
    ) -> Answer | Future[Answer] | None:
        """Answer for the id that the query or the header carries; None where it carries none.

        The answer is there at once, or a future of it where a store far away is asked.
        """
        identifier = identify(query, header)
        if identifier is None:
            return None
        return self.answer(identifier, form, find_parameter(query, CALLBACK_PARAMETER))

    def answer(
        self, identifier: str, form: Format, callback: bytes | None
    ) -> Answer | Future[Answer]:
        """Answer for an id, as `show` does; ``callback`` names the function of a jsonp answer."""
        found = self.look(identifier)
        if isinstance(found, Snapshot):
            return Answer(form.content_type, form.render(found, callback))
        answer: Future[Answer] = Future()

        def reply(snapshot: Future[Snapshot]) -> None:
            if answer.set_running_or_notify_cancel():
                answer.set_result(
                    Answer(form.content_type, form.render(snapshot.result(), callback))
                )

        found.add_done_callback(reply)
        return answer

    def look(self, identifier: str) -> Snapshot | Future[Snapshot]:
        """Return the picture of a transfer: this process's own while it runs, else the store's.

        What finished here may have been taken over elsewhere, so the store is asked; but what it
        does not know, this process may.
        """
        transfer = self.table.find(identifier)
        if self.store is None or self._publisher is None:
            return UNKNOWN if transfer is None else transfer.snapshot()
        if transfer is not None and not transfer.end_published:
            return self._publisher.shown(transfer)
        found = self.store.lookup(identifier)
        if transfer is None:
            return found
        if isinstance(found, Snapshot):
            return transfer.snapshot() if found.state is State.UNKNOWN else found
        return _or_else(found, transfer.snapshot())

    def close(self) -> None:
        """Publish the last ends, wait a second for it at most, and close the store."""
        if self.store is not None and self._publisher is not None:
            self._publisher.close()
            self.store.close()

    def _say_full(self) -> None:
        """Say once, until there is room again, that requests go on untracked."""
        if not self._full:
            self._full = True
            logger.warning(
                "the table is full: %d transfers are running, new ones go on untracked",
                self.table.capacity,
            )


def _why_not(candidate: bytes | None) -> str:
    if candidate is None:
        return f"no {PARAMETER} in the query or the headers"
    return f"{PARAMETER} {candidate[:128]!r} is not 1 to 128 visible ASCII characters"


def _or_else(found: Future[Snapshot], own: Snapshot) -> Future[Snapshot]:
    """Return a future of what the store found, or else of what this process knows."""
    chosen: Future[Snapshot] = Future()
    chosen.set_running_or_notify_cancel()

    def choose(found: Future[Snapshot]) -> None:
        snapshot = found.result()
        chosen.set_result(own if snapshot.state is State.UNKNOWN else snapshot)

    found.add_done_callback(choose)
    return chosen
