"""A process whose lists are looked for when a test says so, and who watches them."""

from __future__ import annotations

from typing import Any

from mod_progress.show.answer import Answer
from mod_progress.show.dump import Permission, answer_dump
from mod_progress.show.formats import EVENTS
from mod_progress.show.list_stream import ListStream, LiveLists
from mod_progress.show.live_list import PACE
from mod_progress.show.ticker import call_here
from mod_progress.tracker import Tracker
from tests.clock import Clock
from tests.show.asking import at_once, question
from tests.show.driven_ticker import DrivenTicker
from tests.show.event_source import Event, EventSource
from tests.show.listed_store import ListedStore


class Site:
    """A process whose lists are looked for when a test says so."""

    def __init__(self) -> None:
        self.store = ListedStore()
        self.clock = Clock()
        self.ticker = DrivenTicker(Tracker(store=self.store), self.clock)
        self.lists = LiveLists(self.ticker)

    def ask(
        self,
        query: bytes = b"",
        permission: Permission = Permission.CUT_IDS,
        cancels: bool = False,
    ) -> Answer:
        asked = question(query, accept=EVENTS.content_type.encode())
        return at_once(answer_dump(asked, self.ticker.tracker, permission, self.lists, cancels))

    def pass_time(self, seconds: float = PACE) -> None:
        self.clock.now += seconds
        self.ticker.tick()


class Viewer:
    """Reads a stream, and keeps the list by what its events say."""

    def __init__(self, site: Site, *asked: Any, **more: Any) -> None:
        answer = site.ask(*asked, **more)
        assert (answer.status, answer.fields) == (200, EVENTS.fields)
        assert isinstance(answer.body, ListStream)
        self.site = site
        self.stream = answer.body
        self.source = EventSource()
        self.woken = 0
        self.rows: dict[str, dict[str, Any]] = {}
        self.stream.open(call_here, self.wake)

    def wake(self) -> None:
        self.woken += 1

    def read(self) -> list[Event]:
        """Take what is there; return the events that it brings."""
        before = len(self.source.events)
        self.source.feed(self.stream.take())
        events = self.source.events[before:]
        for event in events:
            self._apply(event.name, event.json())
        return events

    def _apply(self, name: str, said: dict[str, Any]) -> None:
        if name == "trouble":
            return
        if name == "list":
            self.rows = {}
        for number, members in said["rows"].items():
            self.rows.setdefault(number, {}).update(members)
        for number in said["gone"]:
            del self.rows[str(number)]

    def begin(self) -> Event:
        """Read the first list."""
        self.site.ticker.tick()
        self.read()
        self.site.ticker.tick()
        (event,) = self.source.events or self.read()
        return event
