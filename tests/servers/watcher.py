"""A client that watches one transfer, as an EventSource does, while something else is done."""

from __future__ import annotations

import contextlib
import json
import threading
from collections.abc import Mapping
from typing import Any

import httpx

from tests.gateway.running import eventually
from tests.show.event_source import EventSource

ACCEPT = {"Accept": "text/event-stream"}

#: Seconds that a stream may be silent.
SILENCE = 20


class Watcher:
    """Reads a stream in a thread, and keeps its events."""

    def __init__(self, url: str, http2: bool = False, fields: Mapping[str, str] = ACCEPT) -> None:
        self.source = EventSource()
        self.ended = False
        self._url = url
        self._fields = fields
        self._client = httpx.Client(http1=not http2, http2=http2, timeout=SILENCE, verify=False)
        self._thread = threading.Thread(target=self._run)

    def __enter__(self) -> Watcher:
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._thread.join()
        self._client.close()

    def _run(self) -> None:
        with (
            contextlib.suppress(httpx.TransportError),  # a server that ends may cut the stream
            self._client.stream("GET", self._url, headers=self._fields) as response,
        ):
            assert response.status_code == 200
            for data in response.iter_raw():
                self.source.feed(data)
        self.ended = True

    def await_beginning(self) -> None:
        """Wait for the first event: nothing is known of the transfer."""
        eventually(lambda: self.states == ["unknown"])

    def await_numbers(self, count: int) -> None:
        """Wait until it has seen so many numbers of bytes."""
        eventually(lambda: len(self.received) >= count)

    @property
    def received(self) -> list[int]:
        """The numbers of bytes that it has seen, once each, in their order."""
        seen = [event.json() for event in self.source.events if event.name == "message"]
        return list(dict.fromkeys(each["received"] for each in seen if each["state"] != "unknown"))

    @property
    def states(self) -> list[str]:
        return [event.json().get("state", event.name) for event in self.source.events]

    def check(self, last: Any, in_between: bool) -> None:
        """It has seen the whole transfer up to its end, and is told to stop if it comes back."""
        eventually(lambda: self.ended)
        *events, end = self.source.events
        assert {event.name for event in events} == {"message"}
        assert end.name == "end"
        assert events[-1].json() == last
        received = self.received
        assert received == sorted(received)
        assert len(received) > 2 or not in_between
        fields = {**ACCEPT, "Last-Event-ID": events[-1].last_id}
        assert self._client.get(self._url, headers=fields).status_code == 204


def check_no_push(url: str) -> None:
    """A server whose threads are few says that one has to poll."""
    answer = httpx.get(url, headers=ACCEPT, timeout=SILENCE, verify=False)
    assert answer.status_code == 406
    assert "poll" in json.loads(answer.text)["error"]
