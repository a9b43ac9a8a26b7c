"""A show that is asked over HTTP: one answer, or a stream of events."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Sequence

import httpx

from mod_progress.terminal.address import ask_for, displayed
from mod_progress.terminal.events import EventError, EventParser
from mod_progress.terminal.faults import describe, status_line
from mod_progress.terminal.report import ReportError, parse_report
from mod_progress.transfer import Snapshot

#: Seconds to wait for an answer.
PATIENCE = 10.0

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
            async with asyncio.timeout(PATIENCE):
                response, body = await self._get(ask_for(self._url, [identifier], "json"))
        except (httpx.HTTPError, httpx.InvalidURL, TimeoutError) as error:
            raise ShowError(f"{self}: {describe(error)}") from error
        try:
            if response.status_code != httpx.codes.OK:
                raise ReportError
            return parse_report(body)[1]
        except ReportError:
            said = f"{self}: the answer is {status_line(response)}, no progress"
            raise ShowError(said) from None

    async def _get(self, url: httpx.URL) -> tuple[httpx.Response, bytes]:
        async with self._client.stream("GET", url) as response:
            body = b""
            async for data in response.aiter_bytes():
                body += data
                if len(body) > _MOST:
                    break
            return response, body

    async def stream(
        self, identifiers: Sequence[str]
    ) -> AsyncGenerator[list[tuple[str, Snapshot]], None]:
        """Yield what each piece of a stream tells: ids and their snapshots, or nothing.

        Raises `ShowError` where the server is gone, `NoStreamError` where it sends no stream.
        """
        url = ask_for(self._url, identifiers, "events")
        headers = {"Accept": _EVENT_STREAM, "Last-Event-ID": self._last}
        timeout = httpx.Timeout(PATIENCE, read=None)
        try:
            async with self._client.stream(
                "GET", url, headers=headers, timeout=timeout
            ) as response:
                kind = response.headers.get("Content-Type", "").partition(";")[0].strip().lower()
                if response.status_code != httpx.codes.OK or kind != _EVENT_STREAM:
                    raise NoStreamError(status_line(response))
                yield []
                parser = EventParser()
                async for data in response.aiter_bytes():
                    yield self._take(parser, data, identifiers)
        except (EventError, ReportError) as error:
            raise NoStreamError(str(error)) from error
        except httpx.HTTPError as error:
            raise ShowError(f"{self}: {describe(error)}") from error

    def _take(
        self, parser: EventParser, data: bytes, identifiers: Sequence[str]
    ) -> list[tuple[str, Snapshot]]:
        told = []
        for event in parser.feed(data):
            self._last = event.last
            if event.name == "message":
                named, snapshot = parse_report(event.data)
                told.append((identifiers[0] if named is None else named, snapshot))
        return told
