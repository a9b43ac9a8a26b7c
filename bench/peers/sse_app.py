"""The peer of bench/push.py: the same numbers, pushed by sse-starlette.

Each watcher looks for itself, five times a second, as its documentation shows it. The numbers are
in a dictionary of this process: what reaches another worker is not known there.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator

from sse_starlette import EventSourceResponse
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route

TICK = 0.2

received: dict[str, int] = {}


async def upload(request: Request) -> PlainTextResponse:
    """Take a body, and count it."""
    name = request.query_params["X-Progress-ID"]
    received[name] = 0
    async for chunk in request.stream():
        received[name] += len(chunk)
    return PlainTextResponse("ok")


async def progress(request: Request) -> EventSourceResponse:
    """Push how much of a body has come."""
    name = request.query_params["X-Progress-ID"]

    async def look() -> AsyncIterator[dict[str, str]]:
        last = None
        while True:
            now = received.get(name)
            if now != last:
                last = now
                yield {"data": json.dumps({"state": "running", "received": now})}
            await asyncio.sleep(TICK)

    return EventSourceResponse(look())


app = Starlette(
    routes=[Route("/upload", upload, methods=["POST"]), Route("/progress", progress)],
)
