"""A store whose entries a test sets, and which lists them at once."""

from __future__ import annotations

from concurrent.futures import Future

from mod_progress.details import Details, encode
from mod_progress.stores.contract import StoreError
from mod_progress.stores.listing import Page, Query, Row, Selection
from mod_progress.stores.memory import MemoryStore
from mod_progress.transfer import Snapshot

#: The time at which it lists them: seconds since 1970.
NOW = 1_700_000_000.0


class ListedStore(MemoryStore):
    """Its thread and its clock are those of the test."""

    def __init__(self) -> None:
        super().__init__()
        self.rows: dict[str, Row] = {}
        self.asked: list[Query] = []
        #: Why it cannot be listed.
        self.trouble = ""
        #: Whether it does not answer; the questions are in `waiting`.
        self.silent = False
        self.waiting: list[Future[Page]] = []

    def put(
        self, identifier: str, snapshot: Snapshot, ago: float = 60, path: str = "/upload"
    ) -> None:
        """Set an entry."""
        details = Details("POST", path, "192.0.2.7")
        started = snapshot._replace(started=round((NOW - ago) * 1e9))
        self.rows[identifier] = identifier, started, encode(details, identifier)

    def page(self, query: Query) -> Future[Page]:
        self.asked.append(query)
        future: Future[Page] = Future()
        if self.silent:
            self.waiting.append(future)
        elif self.trouble:
            future.set_exception(StoreError(self.trouble))
        else:
            future.set_result(self.select(query))
        return future

    def select(self, query: Query) -> Page:
        selection = Selection(query, NOW)
        selection.add(self.rows.values())
        return selection.page()
