"""A show that is asked over HTTP: one answer, or a stream of events."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing

import httpx

from mod_progress.terminal.address import ask_for, displayed
from mod_progress.terminal.client import read_beginning
from mod_progress.terminal.events import Event, EventError, EventParser
from mod_progress.terminal.faults import describe, status_line
from mod_progress.terminal.report import ReportError, parse_report
from mod_progress.transfer import Snapshot

#: Seconds to wait for an answer.
SECONDS = 10.0
PATIENCE = httpx.Timeout(SECONDS)

#: A stream is silent where nothing moves.
_STREAM_PATIENCE = httpx.Timeout(SECONDS, read=None)

#: Bytes of an answer that are read at most. Progress takes a hundred.
_MOST = 1 << 16

_EVENT_STREAM = "text/event-stream"


class ShowError(Exception):
    """There is no progress to be had here now; the message says where and why."""


class NoStreamError(Exception):
    """A show sends no stream that is of use: it has to be polled."""


class Show:
    """The address where a server shows how far transfers are."""

    def __init__(self, client: httpx.AsyncClient, url: httpx.URL) -> None:
        self._client = client
        self._url = url
        #: The id of the last event: a stream that is opened again goes on behind it.
        self._last = ""

    def __str__(self) -> str:
        return displayed(self._url)

    async def poll(self, identifier: str) -> Snapshot:
        """Ask how far a transfer is. Raises `ShowError`."""
        try:
            async with asyncio.timeout(SECONDS):
                response, report = await self._ask(ask_for(self._url, [identifier], "json"))
        except (httpx.HTTPError, EventError, TimeoutError) as error:
            raise ShowError(f"{self}: {describe(error)}") from error
        try:
            if response.status_code != httpx.codes.OK:
                raise ReportError
            return parse_report(report)[1]
        except ReportError:
            said = f"{self}: the answer is {status_line(response)}, no progress"
            raise ShowError(said) from None

    async def _ask(self, url: httpx.URL) -> tuple[httpx.Response, str | bytes]:
        """Return a response and its body, or the first event where it is a stream all the same."""
        async with self._client.stream("GET", url) as response:
            if _is_stream(response):
                async with aclosing(_read_events(response)) as pieces:
                    async for event in (event async for events in pieces for event in events):
                        return response, event.data
            return response, await read_beginning(response, _MOST)

    async def stream(
        self, identifiers: Sequence[str]
    ) -> AsyncGenerator[list[tuple[str, Snapshot]], None]:
        """Yield what each piece of a stream tells: ids and their snapshots, or nothing.

        Raises `ShowError` where the server is gone, `NoStreamError` where it sends no stream.
        """
        url = ask_for(self._url, identifiers, "events")
        headers = {"Accept": _EVENT_STREAM, "Last-Event-ID": self._last}
        try:
            async with self._client.stream(
                "GET", url, headers=headers, timeout=_STREAM_PATIENCE
            ) as response:
                if not _is_stream(response):
                    raise NoStreamError(status_line(response))
                async with aclosing(_read_events(response)) as pieces:
                    async for events in pieces:
                        yield self._take(events, identifiers)
        except (EventError, ReportError) as error:
            raise NoStreamError(str(error)) from error
        except httpx.HTTPError as error:
            raise ShowError(f"{self}: {describe(error)}") from error

    def _take(
        self, events: Sequence[Event], identifiers: Sequence[str]
    ) -> list[tuple[str, Snapshot]]:
        told = []
        for event in events:
            self._last = event.last
            if event.name == "message":
                named, snapshot = parse_report(event.data)
                told.append((identifiers[0] if named is None else named, snapshot))
        return told


def _is_stream(response: httpx.Response) -> bool:
    kind = response.headers.get("Content-Type", "").partition(";")[0].strip().lower()
    return response.status_code == httpx.codes.OK and kind == _EVENT_STREAM


async def _read_events(response: httpx.Response) -> AsyncGenerator[list[Event], None]:
    """Yield the events that each piece of a stream completes. Raises `EventError`."""
    parser = EventParser()
    async for data in response.aiter_bytes():
        yield parser.feed(data)
