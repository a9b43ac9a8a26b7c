"""Real servers tell an app of its transfers, also of those that ended just before they did."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.servers.running import DEADLINE, serve_code
from tests.stores.store_servers import eventually

_COMMON = """
import json
import os
import threading

TOLD = os.open("told", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
ends = threading.Event()

def on_end(transfer):
    if "wait" in transfer.path:
        ends.wait()
    os.write(TOLD, json.dumps([os.getpid(), transfer._asdict()]).encode() + b"\\n")
"""

#: The callable waits until the process ends: the lifespan of the app, or its first exit function.
_ASGI = (
    _COMMON
    + """
from mod_progress.asgi import ProgressMiddleware

async def hello(scope, receive, send):
    if scope["type"] == "lifespan":
        while (message := await receive())["type"] != "lifespan.shutdown":
            await send({"type": "lifespan.startup.complete"})
        ends.set()
        await send({"type": "lifespan.shutdown.complete"})
        return
    while (await receive()).get("more_body"):
        pass
    await send({"type": "http.response.start", "status": 201, "headers": []})
    await send({"type": "http.response.body", "body": b"%d" % os.getpid()})

app = ProgressMiddleware(hello, on_end=on_end)
"""
)
_WSGI = (
    _COMMON
    + """
import atexit
from mod_progress.wsgi import ProgressMiddleware

def hello(environ, start_response):
    environ["wsgi.input"].read()
    start_response("201 Created", [])
    return [b"%d" % os.getpid()]

app = ProgressMiddleware(hello, on_end=on_end)
atexit.register(ends.set)
"""
)

SERVERS = {
    "uvicorn": (_ASGI, "uvicorn --port {port} told_app:app"),
    "uvicorn-workers": (_ASGI, "uvicorn --port {port} --workers 2 told_app:app"),
    # The app is made before the fork.
    "gunicorn": (_WSGI, "gunicorn --preload --bind 127.0.0.1:{port} -w 2 told_app:app"),
}


@pytest.mark.parametrize("name", SERVERS)
def test_an_app_is_told_until_its_process_ends(name: str, tmp_path: Path) -> None:
    code, command = SERVERS[name]
    with serve_code(code, "told_app", command, tmp_path) as (process, port):
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", verify=False) as client:
            eventually(lambda: answers(client), DEADLINE)
            worker = client.post("/up?X-Progress-ID=a", content=bytes(9)).text
            eventually(lambda: told(tmp_path))
            ((process_id, first),) = told(tmp_path)
            assert str(process_id) == worker
            assert (first["path"], first["peer"]) == ("/up", "127.0.0.1")
            assert (first["state"], first["status"], first["received"]) == ("done", 201, 9)
            waiting = {f"/wait/{number}" for number in range(3)}
            for path in waiting:
                url = f"{path}?X-Progress-ID={path}"
                client.post(url, content=b"body")
                # Its end is known, so the callable is to be told of it.
                show = f"/progress?X-Progress-ID={path}"
                eventually(lambda: client.get(show).json()["state"] == "done")  # noqa: B023
        process.terminate()
        process.wait(DEADLINE)
        assert {each["path"] for _, each in told(tmp_path)} == {"/up", *waiting}


def answers(client: httpx.Client) -> bool:
    try:
        return client.get("/progress?X-Progress-ID=none").status_code == 200
    except httpx.TransportError:
        return False


def told(directory: Path) -> list[Any]:
    if not (directory / "told").exists():
        return []
    return [json.loads(line) for line in (directory / "told").read_text().splitlines()]
