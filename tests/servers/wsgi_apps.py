"""Every WSGI framework in one app, a path each, as the servers under test import it."""

import os
import threading
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import django
from django.conf import settings
from django.core.wsgi import get_wsgi_application
from django.http import HttpRequest, HttpResponse
from django.urls import path
from flask import Flask, request

from mod_progress.wsgi import ProgressMiddleware
from mod_progress.wsgi.exchange import Application, Environ, StartResponse, Write

BLOCK = bytes(65536)
DOWNLOAD_SIZE = 16 << 20
SILENCES = Path(os.environ["SILENCES"])


def plain(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
    """Serve what the last part of the path says."""
    return PLAIN[environ["PATH_INFO"].rpartition("/")[2]](environ, start_response)


def be_silent(environ: Environ) -> None:
    """Wait until the test ends the silence of this request."""
    identifier = environ["QUERY_STRING"].partition("=")[2]
    while not (SILENCES / identifier).exists():
        time.sleep(0.05)


def read(environ: Environ) -> int:
    size = 0
    while data := environ["wsgi.input"].read(65536):
        size += len(data)
    return size


def upload(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
    size = read(environ)
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [str(size).encode()]


def whole(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
    body = environ["wsgi.input"].read(int(environ["CONTENT_LENGTH"]))
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [str(len(body)).encode()]


def download(environ: Environ, start_response: StartResponse) -> Iterator[bytes]:
    read(environ)
    start_response("200 OK", [("Content-Type", "text/plain")])
    for _ in range(DOWNLOAD_SIZE // len(BLOCK)):
        yield BLOCK
    yield b"end"


def silent(environ: Environ, start_response: StartResponse) -> Iterator[bytes]:
    start_response("200 OK", [("Content-Type", "text/plain")])
    yield b"hello world"
    be_silent(environ)


def late(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
    be_silent(environ)
    start_response("200 OK", [("Content-Type", "text/plain")])
    return []


def refused(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
    be_silent(environ)
    start_response("413 Content Too Large", [("Content-Length", "9")])
    return [b"too large"]


def excess(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
    start_response("200 OK", [("Content-Length", "10")])
    return [b"0123456789", bytes(99_990)]


PLAIN: dict[str, Application] = {
    "upload": upload,
    "whole": whole,
    "download": download,
    "silent": silent,
    "late": late,
    "refused": refused,
    "excess": excess,
}


flask = Flask(__name__)


@flask.post("/flask/upload")
def flask_upload() -> str:
    return str(len(request.files["file"].read()))


@flask.post("/flask/whole")
def flask_whole() -> str:
    return str(len(request.get_data()))


def django_upload(request: HttpRequest) -> HttpResponse:
    return HttpResponse(str(request.FILES["file"].size))


def django_whole(request: HttpRequest) -> HttpResponse:
    return HttpResponse(str(len(request.body)))


settings.configure(
    ROOT_URLCONF=__name__,
    ALLOWED_HOSTS=["*"],
    MIDDLEWARE=[],
    SECRET_KEY="test",
    DATA_UPLOAD_MAX_MEMORY_SIZE=None,
)
django.setup()
urlpatterns = [path("django/upload", django_upload), path("django/whole", django_whole)]

APPS = {
    name: ProgressMiddleware(
        app,
        show=f"/{name}/progress",
        server_timing=name != "plain",
        cancel=lambda environ: True,
    )
    for name, app in {"plain": plain, "flask": flask, "django": get_wsgi_application()}.items()
}


def app(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
    """Serve one of them, and tell which worker, and which thread of it, did."""

    def start_with_worker(status: str, headers: list[tuple[str, str]], *exc_info: Any) -> Write:
        worker = f"{os.getpid()}.{threading.get_native_id()}"
        return start_response(status, [*headers, ("X-Worker", worker)], *exc_info)

    return APPS[environ["PATH_INFO"].split("/")[1]](environ, start_with_worker)
