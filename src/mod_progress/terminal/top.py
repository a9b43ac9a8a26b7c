"""All transfers of a server, live: ``mod-progress top``."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Sequence

import httpx

from mod_progress.terminal.client import Field, open_client
from mod_progress.terminal.dump import Dump, DumpError
from mod_progress.terminal.keys import reading_keys
from mod_progress.terminal.list_screen import ListScreen
from mod_progress.terminal.show import PATIENCE
from mod_progress.terminal.view import View

#: Seconds from one question to the next: a server's list may be a second old.
PACE = 1.0

#: How many transfers a page has that is printed, and that is drawn at most.
_PAGE = 1000


async def watch_list(
    url: httpx.URL, view: View, screen: ListScreen, fields: Sequence[Field] = ()
) -> int:
    """Draw the list on a screen until the person is done; return the exit code.

    Raises `DumpError` where the first question gets no list. Later the last list stays.
    """
    changed = asyncio.Event()

    def press(key: str) -> None:
        view.press(key)
        changed.set()

    async with open_client(httpx.AsyncClient, fields, PATIENCE) as client:
        dump = Dump(client, url)
        screen.show(await dump.ask(view.parameters(screen.room)))
        with reading_keys(press):
            while not view.ended:
                changed.clear()
                try:
                    async with asyncio.timeout(PACE):
                        await changed.wait()
                except TimeoutError:
                    pass
                if not view.paused and not view.ended and view.typed is None:
                    await _ask(dump, view, screen)
    return 0


async def _ask(dump: Dump, view: View, screen: ListScreen) -> None:
    try:
        screen.show(await dump.ask(view.parameters(min(screen.room, _PAGE))))
    except DumpError as error:
        screen.fail(str(error))


async def print_list(
    url: httpx.URL, tell: Callable[[str], None], fields: Sequence[Field] = ()
) -> int:
    """Print each transfer as a line of JSON; return the exit code. Raises `DumpError`."""
    async with open_client(httpx.AsyncClient, fields, PATIENCE) as client:
        dump, after = Dump(client, url), ""
        while True:
            listed = await dump.ask({"limit": str(_PAGE), "after": after})
            for transfer in listed.transfers:
                tell(json.dumps(transfer))
            if not listed.after:
                return 0
            after = listed.after
