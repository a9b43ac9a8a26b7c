"""Follows transfers at one show until all are over: by a stream of events, else by polling."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable
from contextlib import aclosing
from typing import Protocol

from mod_progress.terminal.show import NoStreamError, Show, ShowError
from mod_progress.transfer import Snapshot, State

#: Seconds from one poll to the next: while something changes, and at most.
PACE = 0.2
LONGEST_PACE = 2.0

#: How much longer each pause is while nothing changes.
_SLOWER = 1.5

#: Questions to a server at a time.
CONNECTIONS = 8

#: Seconds of silence after which a stream may be one that a proxy holds back. So the show is
#: polled. If a poll has news that the stream does not tell within the grace, the stream is given
#: up.
SILENCE = 5.0
_GRACE = 1.0

#: Seconds from the start of a stream to the start of the next, at least. A stream ends by itself
#: after a minute.
_LEAST_LIFE = 1.0

#: Seconds from one question to the next to a server that is gone.
_RETRY = 0.5


class Listener(Protocol):
    """Whom a channel tells."""

    def told(self, identifier: str, snapshot: Snapshot) -> None:
        """Take what the server says of a transfer, which differs from what it said before."""

    def expired(self, identifier: str) -> None:
        """Note that the id did not come up in time."""

    def lost(self, reason: str, seconds: float) -> None:
        """Note that the server is gone, and for how long it is waited for."""

    def found(self) -> None:
        """Note that the server is back."""


class Channel:
    """The transfers that are followed at one show.

    An id that the server does not know, and a server that is gone, are waited for: for ``wait``
    seconds each.
    """

    def __init__(
        self,
        show: Show,
        identifiers: Iterable[str],
        listener: Listener,
        wait: float,
        push: bool = True,
    ) -> None:
        self._show = show
        self._listener = listener
        self._wait = wait
        self._push = push
        #: What was told last of each transfer that is not over.
        self._open: dict[str, Snapshot | None] = dict.fromkeys(identifiers)
        self._unseen = set(self._open)
        self._deadline = time.monotonic() + wait
        self._pace = PACE
        self._heard = 0.0
        self._gone_since: float | None = None
        self._told_gone = False

    async def run(self) -> None:
        """Tell the listener what there is, until all transfers are over.

        Raises `ShowError` where the first question gets no progress, or the server is gone for too
        long.
        """
        await self._poll_all()
        while self._open:
            try:
                await (self._push_on() if self._push else self._poll_on())
            except NoStreamError:
                self._push = False
            except ShowError as error:
                await self._endure(error)

    async def _push_on(self) -> None:
        await self._listen()
        await self._poll_all()  # whatever the stream did not tell

    async def _poll_on(self) -> None:
        await asyncio.sleep(min(self._pace, self._seconds_to_deadline()))
        changed = await self._poll_all()
        self._expire()
        self._pace = PACE if changed else min(_SLOWER * self._pace, LONGEST_PACE)

    async def _poll_all(self) -> bool:
        """Ask for each transfer; return whether there is news. Raises `ShowError`."""
        limit = asyncio.Semaphore(CONNECTIONS)

        async def ask(identifier: str) -> Snapshot:
            async with limit:
                return await self._show.poll(identifier)

        asked = list(self._open)
        answers = await asyncio.gather(*map(ask, asked), return_exceptions=True)
        news = False
        for identifier, answer in zip(asked, answers, strict=True):
            if isinstance(answer, Snapshot):
                news |= self._tell(identifier, answer)
        for answer in answers:
            if isinstance(answer, BaseException):
                raise answer
        self._reached()
        return news

    async def _listen(self) -> None:
        """Take what a stream tells until it ends. Raises `ShowError`, `NoStreamError`."""
        began = self._heard = time.monotonic()
        pump = asyncio.create_task(self._pump())
        try:
            while self._open and not pump.done():
                quiet = self._heard + SILENCE - time.monotonic()
                timeout = max(0.0, min(quiet, self._seconds_to_deadline()))
                await asyncio.wait({pump}, timeout=timeout)
                self._expire()
                if time.monotonic() >= self._heard + SILENCE and not pump.done():
                    await self._check_silence()
            if self._open:
                pump.result()
                await asyncio.sleep(began + _LEAST_LIFE - time.monotonic())
        finally:
            pump.cancel()
            await asyncio.wait({pump})
            if not pump.cancelled():
                pump.exception()  # it was raised above, or nobody needs it any more

    async def _pump(self) -> None:
        async with aclosing(self._show.stream(list(self._open))) as stream:
            async for told in stream:
                self._heard = time.monotonic()
                self._reached()
                for identifier, snapshot in told:
                    self._tell(identifier, snapshot)
                if not self._open:
                    return

    async def _check_silence(self) -> None:
        """Poll beside a silent stream. Raises `NoStreamError` where only the poll has news."""
        heard = self._heard
        if await self._poll_all() and self._open:
            await asyncio.sleep(_GRACE)
            if self._heard == heard:
                raise NoStreamError("the stream is held back")
        self._heard = time.monotonic()

    async def _endure(self, error: ShowError) -> None:
        """Wait for a server that is gone. Raises the error where that takes too long."""
        now = time.monotonic()
        if self._gone_since is None:
            # A connection that breaks is no news if the next one works.
            self._gone_since = now
            await asyncio.sleep(PACE)
            return
        if now - self._gone_since >= self._wait:
            raise error
        if not self._told_gone:
            self._told_gone = True
            self._listener.lost(str(error), self._wait)
        self._expire()
        await asyncio.sleep(_RETRY)

    def _reached(self) -> None:
        if self._told_gone:
            self._listener.found()
        self._gone_since = None
        self._told_gone = False

    def _tell(self, identifier: str, snapshot: Snapshot) -> bool:
        """Tell what the server says of a transfer; return whether it is news."""
        if identifier not in self._open or self._open[identifier] == snapshot:
            return False
        state = snapshot.state
        over = state in (State.DONE, State.ERROR)
        if state is State.UNKNOWN:
            over = identifier not in self._unseen
        else:
            self._unseen.discard(identifier)
        self._open[identifier] = snapshot
        if over:
            del self._open[identifier]
        self._listener.told(identifier, snapshot)
        return True

    def _seconds_to_deadline(self) -> float:
        if self._unseen.isdisjoint(self._open):
            return float("inf")
        return max(0.0, self._deadline - time.monotonic())

    def _expire(self) -> None:
        """Give the ids up that did not come up in time."""
        if time.monotonic() < self._deadline:
            return
        for identifier in self._unseen & self._open.keys():
            del self._open[identifier]
            self._listener.expired(identifier)
