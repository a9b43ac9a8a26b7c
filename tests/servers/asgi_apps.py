"""Every ASGI framework in one app, a path each, as the servers under test import it."""

import os
from pathlib import Path

import anyio
import django
from django.conf import settings
from django.core.asgi import get_asgi_application
from django.http import HttpRequest, HttpResponse
from django.urls import path
from fastapi import FastAPI, UploadFile
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from mod_progress.asgi import ProgressMiddleware
from mod_progress.asgi.exchange import Message, Receive, Scope, Send
from mod_progress.asgi.middleware import Application

BLOCK = bytes(65536)
DOWNLOAD_SIZE = 16 << 20
SILENCES = Path(os.environ["SILENCES"])


async def plain(scope: Scope, receive: Receive, send: Send) -> None:
    """Serve what the last part of the path says."""
    await PLAIN[scope["path"].rpartition("/")[2]](scope, receive, send)


async def be_silent(scope: Scope) -> None:
    """Wait until the test ends the silence of this request."""
    identifier = scope["query_string"].decode().partition("=")[2]
    while not (SILENCES / identifier).exists():
        await anyio.sleep(0.05)


async def read(receive: Receive) -> int:
    size, more = 0, True
    while more:
        message = await receive()
        size += len(message.get("body", b""))
        more = message.get("more_body", False)
    return size


async def start(send: Send, status: int = 200, size: int | None = None) -> None:
    headers = [] if size is None else [(b"content-length", b"%d" % size)]
    await send({"type": "http.response.start", "status": status, "headers": headers})


async def send_body(send: Send, data: bytes, more: bool = False) -> None:
    await send({"type": "http.response.body", "body": data, "more_body": more})


async def upload(scope: Scope, receive: Receive, send: Send) -> None:
    size = await read(receive)
    await start(send)
    await send_body(send, str(size).encode())


async def download(scope: Scope, receive: Receive, send: Send) -> None:
    await read(receive)
    await start(send)
    for _ in range(DOWNLOAD_SIZE // len(BLOCK)):
        await send_body(send, BLOCK, more=True)
    await send_body(send, b"end")


async def silent(scope: Scope, receive: Receive, send: Send) -> None:
    await start(send)
    await send_body(send, b"hello world", more=True)
    await be_silent(scope)


async def late(scope: Scope, receive: Receive, send: Send) -> None:
    await be_silent(scope)


async def refused(scope: Scope, receive: Receive, send: Send) -> None:
    await be_silent(scope)
    await start(send, 413, 9)
    await send_body(send, b"too large")


async def excess(scope: Scope, receive: Receive, send: Send) -> None:
    await start(send, size=10)
    await send_body(send, b"0123456789", more=True)
    await send_body(send, bytes(99_990))


PLAIN: dict[str, Application] = {
    "upload": upload,
    "download": download,
    "silent": silent,
    "late": late,
    "refused": refused,
    "excess": excess,
}


async def starlette_upload(request: Request) -> PlainTextResponse:
    size = 0
    async for chunk in request.stream():
        size += len(chunk)
    return PlainTextResponse(str(size))


fastapi = FastAPI()


@fastapi.post("/fastapi/upload")
async def fastapi_upload(file: UploadFile) -> int | None:
    return file.size


def django_upload(request: HttpRequest) -> HttpResponse:
    return HttpResponse(str(request.FILES["file"].size))


settings.configure(ROOT_URLCONF=__name__, ALLOWED_HOSTS=["*"], MIDDLEWARE=[], SECRET_KEY="test")
django.setup()
urlpatterns = [path("django/upload", django_upload)]

APPS: dict[str, Application] = {
    "plain": ProgressMiddleware(plain, show="/plain/progress", cancel=lambda scope: True),
    "starlette": Starlette(
        routes=[Route("/starlette/upload", starlette_upload, methods=["POST"])],
        middleware=[Middleware(ProgressMiddleware, show="/starlette/progress", server_timing=True)],
    ),
    "fastapi": fastapi,
    "django": ProgressMiddleware(
        get_asgi_application(), show="/django/progress", server_timing=True
    ),
}
fastapi.add_middleware(ProgressMiddleware, show="/fastapi/progress", server_timing=True)


async def app(scope: Scope, receive: Receive, send: Send) -> None:
    """Serve one of them, and tell which worker did."""
    if scope["type"] != "http":
        # A worker of hypercorn on trio needs somebody to answer to its start.
        await APPS["starlette"](scope, receive, send)
        return

    async def send_with_worker(message: Message) -> None:
        if message["type"] == "http.response.start":
            message = {**message, "headers": [*message["headers"], (b"x-worker", WORKER)]}
        await send(message)

    await APPS[scope["path"].split("/")[1]](scope, receive, send_with_worker)


WORKER = str(os.getpid()).encode()
