"""The list of all transfers of a server, asked over HTTP: the format ``dump``."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Mapping
from email.utils import parsedate_to_datetime
from typing import Any, NamedTuple

import httpx

from mod_progress.framing import parse_number
from mod_progress.identifier import find_parameter
from mod_progress.terminal.address import ask_for_list, displayed
from mod_progress.terminal.client import read_beginning
from mod_progress.terminal.faults import describe, status_line
from mod_progress.terminal.show import SECONDS

#: Bytes of an answer that are read at most: a page of 1,000 transfers takes less than half of it.
_MOST = 1 << 22

_MOST_COUNT = 2**53

Transfer = Mapping[str, Any]


class DumpError(Exception):
    """There is no list; the message says where and why.

    ``answered`` tells whether the server gave an answer, ``passing`` whether the list may be there
    later.
    """

    def __init__(self, message: str, *, answered: bool, passing: bool) -> None:
        super().__init__(message)
        self.answered = answered
        self.passing = passing


class Listed(NamedTuple):
    """A page of the list."""

    transfers: list[Transfer]
    #: How many there are on all pages.
    total: int
    #: How many there are of each state, whatever state was asked for.
    states: dict[str, int]
    #: Where the next page begins; empty after the last one.
    after: str
    #: The server's time: seconds since 1970.
    now: float


class Dump:
    """The address where a server lists its transfers."""

    def __init__(self, client: httpx.AsyncClient, url: httpx.URL) -> None:
        self._client = client
        self._url = url

    def __str__(self) -> str:
        return displayed(self._url)

    async def ask(self, parameters: Mapping[str, str]) -> Listed:
        """Return the page that the parameters ask for. Raises `DumpError`."""
        try:
            async with asyncio.timeout(SECONDS):
                response, body = await self._read(ask_for_list(self._url, parameters))
        except (httpx.HTTPError, TimeoutError) as error:
            said = f"{self}: {describe(error)}"
            raise DumpError(said, answered=False, passing=True) from error
        if response.status_code != httpx.codes.OK:
            said = f"{self}: the answer is {status_line(response)}{_reason(body)}"
            raise DumpError(said, answered=True, passing=response.is_server_error)
        try:
            return _parse(response, body)
        except ValueError:
            said = f"{self}: the answer is no list of transfers"
            raise DumpError(said, answered=True, passing=False) from None

    async def _read(self, url: httpx.URL) -> tuple[httpx.Response, bytes]:
        async with self._client.stream("GET", url) as response:
            return response, await read_beginning(response, _MOST)


def _parse(response: httpx.Response, body: bytes) -> Listed:
    """Return the page that an answer has. Raises ValueError."""
    transfers = json.loads(body)
    total = parse_number(response.headers.get("X-Progress-Total"), _MOST_COUNT)
    if not isinstance(transfers, list) or total is None:
        raise ValueError
    if not all(isinstance(each, dict) for each in transfers):
        raise ValueError
    states = _parse_states(response.headers.get("X-Progress-States", ""))
    return Listed(transfers, total, states, _parse_next(response), _parse_date(response))


def _parse_states(text: str) -> dict[str, int]:
    pairs = (member.strip().partition("=") for member in text.split(","))
    return {name: parse_number(count, _MOST_COUNT) or 0 for name, _, count in pairs if name}


def _parse_next(response: httpx.Response) -> str:
    """Return the parameter ``after`` of the address of the next page, or an empty string."""
    try:
        query = httpx.URL(response.links["next"]["url"]).query
    except (KeyError, httpx.InvalidURL):
        return ""
    return (find_parameter(query, "after") or b"").decode(errors="replace")


def _parse_date(response: httpx.Response) -> float:
    """Return the time of the answer by its Date (RFC 9110, section 6.6.1), else our own."""
    try:
        return parsedate_to_datetime(response.headers.get("Date", "")).timestamp()
    except ValueError:
        return time.time()


def _reason(body: bytes) -> str:
    """Return the reason that an answer gives, behind a comma; nothing where it gives none."""
    try:
        reason = json.loads(body)["error"]
    except (ValueError, TypeError, KeyError):
        return ""
    return f", {reason}" if isinstance(reason, str) else ""
