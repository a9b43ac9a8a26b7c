"""A load for a fleet of gateways, and a note of all that was sent and answered.

    python fleet_load.py PORT POLLS ADDRESS...

Uploads go through every gateway at once, and each is polled at all the others. PORT is where the
backend listens that the gateways pass them on to, POLLS how many polls are wanted at least. The
`Notes` are printed as JSON; all times are seconds of the monotonic clock.
"""

from __future__ import annotations

import asyncio
import json
import random
import re
import sys
import time
from collections.abc import Iterator
from itertools import count
from typing import Any, NamedTuple

#: How many uploads are in flight through each gateway.
LANES = 8

#: An upload goes in so many pieces at most, of one of these sizes, with a pause after each: some
#: are over at once, some take a second.
PIECES = 20
PIECE_SIZES = (100, 10_000, 200_000)
PAUSE = 0.05

#: Seconds between two polls of one transfer at one gateway, and for how long its end is polled.
POLL_EVERY = 0.01
AFTERWARDS = 0.4

RESPONSE = b"ok"
_LENGTH = re.compile(rb"content-length: (\d+)", re.IGNORECASE)


class Upload(NamedTuple):
    """One transfer."""

    identifier: str
    gateway: int
    size: int
    #: How many bytes were handed to the system in all, each with the time just before.
    sent: list[tuple[float, int]]
    #: When its whole response was here; empty before.
    answered: list[float]


class Poll(NamedTuple):
    """One answer."""

    identifier: str
    gateway: int
    asked: float
    answered: float
    answer: dict[str, Any]


class Notes(NamedTuple):
    """All that happened."""

    uploads: list[Upload]
    polls: list[Poll]


class Client:
    """A connection that is kept."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    @classmethod
    async def connect(cls, address: str) -> Client:
        host, _, port = address.partition(":")
        return cls(*await asyncio.open_connection(host, int(port)))

    async def send(self, data: bytes) -> None:
        self._writer.write(data)
        await self._writer.drain()

    async def receive(self) -> bytes:
        """Return the body of a response."""
        head = await self._reader.readuntil(b"\r\n\r\n")
        length = _LENGTH.search(head)
        assert head.startswith(b"HTTP/1.1 200 "), head
        assert length is not None, head
        return await self._reader.readexactly(int(length[1]))


async def discard(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Be the backend, for one connection."""
    answer = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(RESPONSE) + RESPONSE
    try:
        while True:
            length = _LENGTH.search(await reader.readuntil(b"\r\n\r\n"))
            assert length is not None
            left = int(length[1])
            while left:
                left -= len(await reader.read(min(left, 1 << 16)))
            writer.write(answer)
    except (asyncio.IncompleteReadError, asyncio.CancelledError):
        writer.close()  # a gateway leaves, or the load is over


async def send(client: Client, upload: Upload, pieces: Iterator[bytes]) -> None:
    data = f"POST /?X-Progress-ID={upload.identifier} HTTP/1.1\r\nHost: fleet\r\n".encode()
    data += b"Content-Length: %d\r\n\r\n" % upload.size
    sent = 0
    for piece in pieces:
        sent += len(piece)
        upload.sent.append((time.monotonic(), sent))
        await client.send(data + piece)
        await asyncio.sleep(PAUSE)
        data = b""
    assert await client.receive() == RESPONSE
    upload.answered.append(time.monotonic())


async def ask(client: Client, gateway: int, upload: Upload, notes: Notes) -> None:
    asked = time.monotonic()
    path = f"/progress?X-Progress-ID={upload.identifier}"
    await client.send(f"GET {path} HTTP/1.1\r\nHost: fleet\r\n\r\n".encode())
    answer = json.loads(await client.receive())
    notes.polls.append(Poll(upload.identifier, gateway, asked, time.monotonic(), answer))


async def watch(client: Client, gateway: int, upload: Upload, notes: Notes) -> None:
    """Poll a transfer from just before its start until a while after its end."""
    while not upload.answered or time.monotonic() < upload.answered[0] + AFTERWARDS:
        await ask(client, gateway, upload, notes)
        await asyncio.sleep(POLL_EVERY)


async def lane(
    addresses: list[str], own: int, numbers: Iterator[int], wanted: int, notes: Notes
) -> None:
    """Send one upload after the other through a gateway, each watched at all the others."""
    sender, *watchers = [await Client.connect(addresses[own])] + [
        await Client.connect(each) for each in addresses
    ]
    while len(notes.polls) < wanted:
        pieces = [bytes(random.choice(PIECE_SIZES))] * random.randint(1, PIECES)
        size = sum(map(len, pieces))
        upload = Upload(f"fleet-{next(numbers)}", own, size, [], [])
        notes.uploads.append(upload)
        await asyncio.gather(
            send(sender, upload, iter(pieces)),
            *(
                watch(watcher, gateway, upload, notes)
                for gateway, watcher in enumerate(watchers)
                if gateway != own
            ),
        )


async def poll_all_again(addresses: list[str], notes: Notes) -> None:
    """Ask every other gateway for every transfer, which has long ended."""
    for gateway, address in enumerate(addresses):
        client = await Client.connect(address)
        for upload in notes.uploads:
            if upload.gateway != gateway:
                await ask(client, gateway, upload, notes)


async def load(port: int, wanted: int, addresses: list[str]) -> Notes:
    notes, numbers = Notes([], []), count()
    await asyncio.start_server(discard, port=port)
    lanes = [own for own in range(len(addresses)) for _ in range(LANES)]
    await asyncio.gather(*(lane(addresses, own, numbers, wanted, notes) for own in lanes))
    await poll_all_again(addresses, notes)
    return notes


if __name__ == "__main__":
    json.dump(asyncio.run(load(int(sys.argv[1]), int(sys.argv[2]), sys.argv[3:])), sys.stdout)
