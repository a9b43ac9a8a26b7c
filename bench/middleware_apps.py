"""The apps that bench/middleware.py serves: bare, behind one that only counts, and behind ours."""

from collections.abc import Iterator
from typing import Any

from fastapi import FastAPI, Request

from mod_progress import asgi, wsgi
from mod_progress.asgi.exchange import Message, Receive, Scope, Send
from mod_progress.asgi.middleware import Application as AsgiApplication
from mod_progress.wsgi.exchange import Application, Environ, StartResponse

BLOCK = bytes(1 << 16)
METHODS = ("GET", "POST")


async def asgi_bare(scope: Scope, receive: Receive, send: Send) -> None:
    """Take what is sent; answer with so many bytes as the path says, or two."""
    if scope["type"] != "http":
        return
    while (await receive()).get("more_body"):
        pass
    last = scope["path"].rpartition("/")[2]
    size = int(last) if last.isdigit() else 2
    headers = [(b"content-length", b"%d" % size), (b"content-type", b"text/plain")]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    while size > len(BLOCK):
        await send({"type": "http.response.body", "body": BLOCK, "more_body": True})
        size -= len(BLOCK)
    await send({"type": "http.response.body", "body": BLOCK[:size]})


def wsgi_bare(environ: Environ, start_response: StartResponse) -> Iterator[bytes]:
    """Do the same."""
    while environ["wsgi.input"].read(len(BLOCK)):
        pass
    last = environ["PATH_INFO"].rpartition("/")[2]
    size = int(last) if last.isdigit() else 2
    start_response("200 OK", [("Content-Length", str(size)), ("Content-Type", "text/plain")])
    while size > 0:
        yield BLOCK[:size]
        size -= len(BLOCK)


fastapi_bare = FastAPI()


@fastapi_bare.get("/progress")
@fastapi_bare.get("/")
@fastapi_bare.post("/")
async def answer(request: Request) -> dict[str, int]:
    """Answer with the size of what was sent."""
    return {"size": len(await request.body())}


class CountedAsgi:
    """The least that counting takes: every request and response is wrapped, and nothing is kept."""

    def __init__(self, app: AsgiApplication) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve a request."""
        moved = 0

        async def counted_receive() -> Message:
            nonlocal moved
            message = await receive()
            moved += len(message.get("body", b""))
            return message

        async def counted_send(message: Message) -> None:
            nonlocal moved
            moved += len(message.get("body", b""))
            await send(message)

        await self.app(scope, counted_receive, counted_send)


class CountedInput:
    """A request body, and how many bytes have moved."""

    def __init__(self, body: Any) -> None:
        self.body = body
        self.moved = 0

    def read(self, *size: int) -> bytes:
        """Read as the server's own does."""
        data: bytes = self.body.read(*size)
        self.moved += len(data)
        return data


def counted_wsgi(app: Application) -> Application:
    """Return the same for WSGI."""

    def serve(environ: Environ, start_response: StartResponse) -> Iterator[bytes]:
        counted = environ["wsgi.input"] = CountedInput(environ["wsgi.input"])
        for chunk in app(environ, start_response):
            counted.moved += len(chunk)
            yield chunk

    return serve


asgi_counted = CountedAsgi(asgi_bare)
fastapi_counted = CountedAsgi(fastapi_bare)
wsgi_counted = counted_wsgi(wsgi_bare)

asgi_with = asgi.ProgressMiddleware(asgi_bare, methods=METHODS)
fastapi_with = asgi.ProgressMiddleware(fastapi_bare, methods=METHODS)
wsgi_with = wsgi.ProgressMiddleware(wsgi_bare, methods=METHODS)

pushing = asgi.ProgressMiddleware(asgi_bare, store="local:push")
