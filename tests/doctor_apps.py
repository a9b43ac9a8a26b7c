"""An app that takes uploads, set up in the ways that the doctor is to judge."""

from mod_progress.asgi import ProgressMiddleware, Receive, Scope, Send


async def app(scope: Scope, receive: Receive, send: Send) -> None:
    size, more = 0, True
    while more:
        message = await receive()
        size += len(message.get("body", b""))
        more = message.get("more_body", False)
    status = 403 if scope["path"] == "/forbidden" else 200
    await send({"type": "http.response.start", "status": status, "headers": []})
    await send({"type": "http.response.body", "body": str(size).encode()})


well = ProgressMiddleware(app)
open_to_one = ProgressMiddleware(app, allow_origins="https://page.example")
not_tracked = ProgressMiddleware(app, track="/elsewhere")
not_shared = ProgressMiddleware(app, store="memory")
