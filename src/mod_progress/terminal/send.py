"""Sends files, and shows what was sent and what the server has: ``mod-progress send``."""

from __future__ import annotations

import asyncio
import math
import secrets
import shlex
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass

import httpx

from mod_progress.identifier import OWNER_PREFIX, shared_form
from mod_progress.terminal.address import below, displayed
from mod_progress.terminal.body import STDIN, Body, File, disposition, form
from mod_progress.terminal.channel import Channel
from mod_progress.terminal.client import Field, open_client
from mod_progress.terminal.display import Display, Row
from mod_progress.terminal.show import PATIENCE, Show, ShowError
from mod_progress.terminal.upload import Outcome, Request, Upload
from mod_progress.transfer import Snapshot, State

#: The exit codes: all is sent; the server refused something, or it was cut; nobody is there.
SENT, REFUSED, UNREACHABLE = 0, 1, 2

#: Seconds from one look at what was sent to the next.
_TICK = 0.1

#: Seconds to wait until the show tells the end of what the server has answered.
_SETTLE = 2.0

#: Seconds from one question to the next to a show that does not answer.
_RETRY = 1.0


def fresh_identifier() -> str:
    """Return a new id, whose secret nobody can guess."""
    return f"{OWNER_PREFIX}{secrets.token_hex(16)}"


@dataclass(frozen=True, slots=True)
class Plan:
    """What to send, as the command line says it."""

    files: Sequence[File]
    url: httpx.URL
    show: httpx.URL
    method: str
    #: The name of the form's field; None where each file is the body of a request.
    form: str | None = None
    #: None for a fresh one a request.
    identifier: str | None = None
    fields: Sequence[Field] = ()

    def requests(self) -> list[Request]:
        """Return the requests to send, in their order."""
        if self.form is None:
            return [self._request_of(file) for file in self.files]
        first, *others = self.files
        label = f"{first.label} +{len(others)}" if others else first.label
        return [self._request(label, self.url, form(self.form, self.files))]

    def _request_of(self, file: File) -> Request:
        """Return the request whose body is a file.

        A PUT to an address that ends in a slash has the file's name behind it, as with curl.
        """
        url, defaults = self.url, {}
        if file.path != STDIN and self.method != "PUT":
            defaults = {"Content-Disposition": disposition(file)}
        elif file.path != STDIN and url.path.endswith("/"):
            url = below(url, file.name)
        return self._request(file.label, url, Body(file.media_type, (file,)), defaults)

    def _request(
        self, label: str, url: httpx.URL, body: Body, defaults: Mapping[str, str] | None = None
    ) -> Request:
        identifier = self.identifier or fresh_identifier()
        return Request(label, self.method, url, identifier, body, self.fields, defaults or {})


class Sending:
    """One upload and its two rows; a `channel.Listener` for what the server has."""

    def __init__(self, request: Request, show: Show, display: Display) -> None:
        self._request = request
        #: The id that lets others look.
        self._watched = shared_form(request.identifier)
        self._show = show
        self._display = display
        self._upload = Upload(request)
        self._sent = Row(request.label, part="sent")
        self._server = Row(request.label, part="server")
        #: Why the show tells nothing; empty while it does.
        self._silence = ""

    async def run(self) -> Outcome:
        """Send it all; return how that ended."""
        self._upload.start()
        following = asyncio.create_task(self._follow())
        try:
            while (outcome := self._upload.outcome) is None:
                self._update()
                await asyncio.sleep(_TICK)
        finally:
            self._upload.abort()
            following.cancel()
            await asyncio.wait({following})
        if outcome.reached:
            self._update()
            await self._settle()
        return outcome

    def describe_silence(self) -> str:
        """Return why the server's bar is not there; empty where it is."""
        if self._server.meter.seen:
            return ""
        return self._silence or f"{self._show}: it does not know the upload"

    def _update(self) -> None:
        if self._upload.began:
            self._sent.meter.update(self._upload.snapshot(), time.monotonic())
            self._display.changed(self._sent)

    async def _follow(self) -> None:
        """Ask what the server has until it says that all is over."""
        while not self._server.meter.over:
            try:
                await self._ask(math.inf)
            except ShowError as error:
                # A server of few threads may answer when it has the upload.
                self._silence = str(error)
                await asyncio.sleep(_RETRY)

    async def _settle(self) -> None:
        """Ask for the end of what the server has answered."""
        with suppress(ShowError, TimeoutError):
            async with asyncio.timeout(_SETTLE):
                if not self._server.meter.over:
                    await self._ask(_SETTLE)

    async def _ask(self, wait: float) -> None:
        # It polls: a stream that is only needed for one upload is soon of no use.
        await Channel(self._show, [self._watched], self, wait, push=False).run()

    def told(self, _: str, snapshot: Snapshot) -> None:
        """Show what the server has, from when it knows the upload."""
        self._silence = ""
        if snapshot.state is not State.UNKNOWN and not self._server.meter.seen:
            command = f"mod-progress watch {_quote(self._watched)} --at {_quote(str(self._show))}"
            self._display.say(f"to watch it: {command}")
        self._server.meter.update(snapshot, time.monotonic())
        if self._server.meter.seen:
            self._display.changed(self._server)

    def expired(self, _: str) -> None:
        """It is waited for until the upload ends."""

    def lost(self, _reason: str, _seconds: float) -> None:
        """The upload itself tells it."""

    def found(self) -> None:
        """The numbers tell it."""


async def send(plan: Plan, display: Display) -> int:
    """Send all files; return the exit code."""
    code = SENT
    async with open_client(httpx.AsyncClient, plan.fields, PATIENCE) as client:
        show = Show(client, plan.show)
        for request in plan.requests():
            code = max(code, await _send(request, show, display))
            if code == UNREACHABLE:
                break
    return code


async def _send(request: Request, show: Show, display: Display) -> int:
    sending = Sending(request, show, display)
    outcome = await sending.run()
    display.close()
    if outcome.success:
        silence = sending.describe_silence()
        if silence:
            display.say(f"no progress from the server: {silence}")
        display.say(f"{request.label}: {outcome.said}")
        return SENT
    what = request.label if outcome.reached else displayed(request.url)
    display.fail(f"{what}: {outcome.said}")
    return REFUSED if outcome.reached else UNREACHABLE


def _quote(word: str) -> str:
    """Quote a word for a shell. A tilde within a word means nothing to it."""
    return (
        word if shlex.quote(word.replace("~", "_")) == word.replace("~", "_") else shlex.quote(word)
    )
