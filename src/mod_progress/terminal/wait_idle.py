"""Waits until a server has no running transfer: ``mod-progress wait-idle``."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence

import httpx

from mod_progress.terminal.client import Field, open_client
from mod_progress.terminal.dump import Dump, DumpError
from mod_progress.terminal.show import PATIENCE

#: The exit codes: nothing runs; something still runs; nobody can tell.
IDLE, BUSY, UNKNOWN = 0, 1, 2

#: Seconds from one question to the next: a server's list may be a second old.
PACE = 1.0

_RUNNING = {"state": "running", "limit": "1"}


async def wait_until_idle(
    url: httpx.URL,
    timeout: float,
    say: Callable[[str], None],
    fields: Sequence[Field] = (),
) -> int:
    """Wait until no transfer runs, for ``timeout`` seconds; return `IDLE` or `BUSY`.

    ``say`` is told how many run, when that changes. A server that has answered once, or that has a
    trouble of its own, is waited for too. Raises `DumpError` where that does not help.
    """
    deadline = time.monotonic() + timeout
    async with open_client(httpx.AsyncClient, fields, PATIENCE) as client:
        return await _wait(Dump(client, url), deadline, say)


async def _wait(dump: Dump, deadline: float, say: Callable[[str], None]) -> int:
    running, reached = -1, False
    while True:
        failure: DumpError | None = None
        try:
            total = (await dump.ask(_RUNNING)).total
        except DumpError as error:
            reached |= error.answered
            if not error.passing or not reached:
                raise
            failure = error
        else:
            reached = True
            if total != running:
                say(f"{dump}: {_count(total)}")
            running = total
            if not running:
                return IDLE
        left = deadline - time.monotonic()
        if left <= 0:
            if failure is not None:
                raise failure
            return BUSY
        await asyncio.sleep(min(PACE, left))


def _count(running: int) -> str:
    if not running:
        return "no transfer is running"
    return "1 transfer is running" if running == 1 else f"{running:,} transfers are running"
