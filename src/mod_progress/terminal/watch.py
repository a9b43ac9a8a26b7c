"""Watches transfers until they are over: ``mod-progress watch``."""

from __future__ import annotations

import asyncio
import time
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence

import httpx

from mod_progress.identifier import shared_form, shorten
from mod_progress.terminal.channel import Channel
from mod_progress.terminal.client import Field, open_client
from mod_progress.terminal.display import Display, Row
from mod_progress.terminal.meter import Phase
from mod_progress.terminal.show import PATIENCE, Show, ShowError
from mod_progress.transfer import Snapshot, State

#: The exit codes: all is done; a transfer failed; one is not known, or its server is gone.
DONE, FAILED, UNKNOWN = 0, 1, 2


class Watch:
    """The rows of the transfers of one show: a `channel.Listener`.

    The channel knows the shared forms of ids alone, so no secret is sent to a show.
    """

    def __init__(self, display: Display, show: Show, rows: Iterable[Row]) -> None:
        self._display = display
        self._show = show
        self._rows: dict[str, list[Row]] = defaultdict(list)
        for row in rows:
            self._rows[shared_form(row.identifier)].append(row)

    async def run(self, wait: float) -> int:
        """Follow the transfers; return the exit code."""
        try:
            await Channel(self._show, self._rows, self, wait).run()
        except ShowError as error:
            for row in self._all():
                row.meter.give_up(time.monotonic())
            self._display.fail(str(error))
            return UNKNOWN
        return max(map(_code, self._all()))

    def told(self, identifier: str, snapshot: Snapshot) -> None:
        """Show what the server says of a transfer."""
        for row in self._rows[identifier]:
            row.meter.update(snapshot, time.monotonic())
            self._display.changed(row)

    def expired(self, identifier: str) -> None:
        """Give a transfer up that nobody has begun."""
        for row in self._rows[identifier]:
            row.meter.give_up(time.monotonic())

    def lost(self, reason: str, seconds: float) -> None:
        """Say that the server is gone."""
        self._display.say(f"{reason}; waiting up to {seconds:g} seconds")
        for row in self._all():
            row.meter.lose(time.monotonic())

    def found(self) -> None:
        """Say that the server is back."""
        self._display.say(f"{self._show}: it answers again")

    def _all(self) -> list[Row]:
        return [row for rows in self._rows.values() for row in rows]


def _code(row: Row) -> int:
    if row.meter.phase is Phase.DONE:
        return DONE
    return FAILED if row.meter.snapshot.state is State.ERROR else UNKNOWN


async def watch(
    targets: Mapping[httpx.URL, Sequence[str]],
    display: Display,
    wait: float,
    fields: Sequence[Field] = (),
) -> int:
    """Watch the ids of each show until all are over; return the exit code.

    Ids that are not there yet, and servers that are gone, are waited for: for ``wait`` seconds.
    """
    async with open_client(httpx.AsyncClient, fields, PATIENCE) as client:
        watches = [
            Watch(display, Show(client, url), [Row(shorten(each), each) for each in identifiers])
            for url, identifiers in targets.items()
        ]
        return max(await asyncio.gather(*(each.run(wait) for each in watches)))
