"""A plain ASGI app that takes uploads, with progress.

Start it, with as many workers as you like:

    uvicorn --app-dir examples --port 8000 --workers 4 asgi_app:app

Send something slowly, and look meanwhile:

    curl --limit-rate 1M -T big.iso -X POST 'http://localhost:8000/?X-Progress-ID=mine' &
    curl 'http://localhost:8000/progress?X-Progress-ID=mine'
"""

from mod_progress.asgi import ProgressMiddleware


async def count(scope, receive, send):
    """Answer with the size of what was sent."""
    if scope["type"] != "http":
        return
    size, more = 0, True
    while more:
        message = await receive()
        size += len(message.get("body", b""))
        more = message.get("more_body", False)
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": f"{size} bytes\n".encode()})


app = ProgressMiddleware(count)
