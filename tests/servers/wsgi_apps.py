"""Every WSGI framework in one app, a path each, as the servers under test import it."""

import os
import threading
from collections.abc import Iterable, Iterator
from typing import Any

import django
from django.conf import settings
from django.core.wsgi import get_wsgi_application
from django.http import HttpRequest, HttpResponse
from django.urls import path
from flask import Flask, request

from mod_progress.wsgi import ProgressMiddleware
from mod_progress.wsgi_exchange import Environ, StartResponse, Write

BLOCK = bytes(65536)
DOWNLOAD_SIZE = 16 << 20


def plain(environ: Environ, start_response: StartResponse) -> Iterator[bytes]:
    size = 0
    while data := environ["wsgi.input"].read(65536):
        size += len(data)
    start_response("200 OK", [("Content-Type", "text/plain")])
    if environ["PATH_INFO"] == "/plain/download":
        for _ in range(DOWNLOAD_SIZE // len(BLOCK)):
            yield BLOCK
    yield str(size).encode()


flask = Flask(__name__)


@flask.post("/flask/upload")
def flask_upload() -> str:
    return str(len(request.files["file"].read()))


def django_upload(request: HttpRequest) -> HttpResponse:
    return HttpResponse(str(request.FILES["file"].size))


settings.configure(ROOT_URLCONF=__name__, ALLOWED_HOSTS=["*"], MIDDLEWARE=[], SECRET_KEY="test")
django.setup()
urlpatterns = [path("django/upload", django_upload)]

APPS = {
    name: ProgressMiddleware(app, show=f"/{name}/progress")
    for name, app in {"plain": plain, "flask": flask, "django": get_wsgi_application()}.items()
}


def app(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
    """Serve one of them, and tell which worker, and which thread of it, did."""

    def start_with_worker(status: str, headers: list[tuple[str, str]], *exc_info: Any) -> Write:
        worker = f"{os.getpid()}.{threading.get_native_id()}"
        return start_response(status, [*headers, ("X-Worker", worker)], *exc_info)

    return APPS[environ["PATH_INFO"].split("/")[1]](environ, start_with_worker)
