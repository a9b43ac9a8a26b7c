"""The apps that bench/middleware.py serves, each bare and behind the middleware."""

from fastapi import FastAPI, Request

from mod_progress import asgi, wsgi

BLOCK = bytes(1 << 16)
METHODS = ("GET", "POST")


async def asgi_bare(scope, receive, send):
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


def wsgi_bare(environ, start_response):
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


asgi_with = asgi.ProgressMiddleware(asgi_bare, methods=METHODS)
fastapi_with = asgi.ProgressMiddleware(fastapi_bare, methods=METHODS)
wsgi_with = wsgi.ProgressMiddleware(wsgi_bare, methods=METHODS)
