"""A WSGI server as far as the tests of the middleware need one, and apps for it."""

import contextlib
import io
import json
from collections.abc import Iterable
from typing import Any
from wsgiref.util import FileWrapper
from wsgiref.validate import validator

from mod_progress.wsgi import ProgressMiddleware
from mod_progress.wsgi.exchange import Application, Environ, StartResponse, Write
from tests.answers import Answer

Headers = Iterable[tuple[str, str]]


def environ(
    body: bytes = b"",
    method: str = "POST",
    path: str = "/upload",
    query: str = "X-Progress-ID=id",
    **members: Any,
) -> Environ:
    """A request as a server describes it; its id is ``id``."""
    return {
        "REQUEST_METHOD": method,
        "SCRIPT_NAME": "",
        "PATH_INFO": path,
        "QUERY_STRING": query,
        "SERVER_NAME": "app",
        "SERVER_PORT": "80",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "CONTENT_LENGTH": str(len(body)),
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": "http",
        "wsgi.input": io.BytesIO(body),
        "wsgi.errors": io.StringIO(),
        "wsgi.multithread": True,
        "wsgi.multiprocess": False,
        "wsgi.run_once": False,
        "wsgi.file_wrapper": FileWrapper,
        **members,
    }


class Server:
    """The other side: it keeps the response."""

    def __init__(self) -> None:
        self.status = ""
        self.written = b""

    def start_response(self, status: str, headers: Headers, exc_info: Any = None) -> Write:
        self.status = status
        self.headers = headers
        self.exc_info = exc_info
        return self.write

    def write(self, data: bytes) -> None:
        self.written += data

    def serve(self, app: Application, environ: Environ) -> None:
        result: Any = app(environ, self.start_response)
        try:
            for chunk in result:
                self.write(chunk)
        finally:
            if hasattr(result, "close"):
                result.close()


def serve(app: Application, request: Environ, **parameters: Any) -> tuple[Answer, Server]:
    """Run one request; return the answer of a show afterwards, and the server."""
    middleware = ProgressMiddleware(app, store="memory", **parameters)
    server = Server()
    with contextlib.suppress(RuntimeError, SystemExit):
        server.serve(middleware, request)
    return show(middleware), server


def show(middleware: ProgressMiddleware) -> Answer:
    server = Server()
    server.serve(validator(middleware), environ(method="GET", path="/progress"))
    assert server.status == "200 OK"
    answer: Answer = json.loads(server.written)
    return answer


def app_of(
    *chunks: bytes, status: str = "200 OK", headers: Headers = (), reads: bool = True
) -> Application:
    """An app that reads the whole body, or not, and answers with these chunks."""

    def app(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        if reads:
            environ["wsgi.input"].read()
        start_response(status, list(headers))
        return chunks

    return app
