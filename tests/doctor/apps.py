"""An app that takes uploads, set up in the ways that the doctor is to judge."""

from collections.abc import Iterable

from mod_progress import wsgi
from mod_progress.asgi import ProgressMiddleware
from mod_progress.asgi.exchange import Receive, Scope, Send
from mod_progress.wsgi.exchange import Environ, StartResponse

#: The answers to an upload that are not a plain 200, by its path.
ANSWERS = {
    "/forbidden": (403, ""),
    "/here-no-more": (308, "/upload"),
    "/members/upload": (302, "/account?next=/members/upload"),
    "/staff/upload": (302, "https://sso.example/oauth2/authorize?client=app"),
    "/form": (303, "/thanks"),
    "/form-elsewhere": (303, "https://pages.example/thanks"),
}

#: Paths that redirect whoever has no session.
PRIVATE = {"/members/upload"}

PAGES = {
    "/account": b'<form method="post"><input name=user><input required type = "password"></form>',
    "/thanks": b"<p>Thank you. <input type=search></p>",
}


async def app(scope: Scope, receive: Receive, send: Send) -> None:
    path = scope["path"]
    size, more = 0, True
    while more:
        message = await receive()
        size += len(message.get("body", b""))
        more = message.get("more_body", False)
    status, location = ANSWERS.get(path, (200, ""))
    if path in PRIVATE and (b"cookie", b"session=1") in scope["headers"]:
        status, location = 200, ""
    headers = [(b"location", location.encode())] if location else []
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": PAGES.get(path, str(size).encode())})


well = ProgressMiddleware(app)
open_to_one = ProgressMiddleware(app, allow_origins="https://page.example")
not_tracked = ProgressMiddleware(app, track="/elsewhere")
not_shared = ProgressMiddleware(app, store="memory")


def wsgi_app(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
    while environ["wsgi.input"].read(65536):
        pass
    start_response("200 OK", [])
    return []


scarce_threads = wsgi.ProgressMiddleware(wsgi_app)
