"""Real servers give the callable of ``identify`` what it needs to find an id in the path."""

from __future__ import annotations

import socket
from pathlib import Path

import httpx
import pytest

from tests.servers.running import DEADLINE, serve_code
from tests.stores.store_servers import eventually

_COMMON = """
import re

def identify(request):
    path = request["path"] if "path" in request else request["PATH_INFO"]
    found = re.search("/x-progress-id:([^/]+)$", path)
    return found and found[1]
"""

_ASGI = (
    _COMMON
    + """
from mod_progress.asgi import ProgressMiddleware

async def upload(scope, receive, send):
    while (await receive()).get("more_body"):
        pass
    await send({"type": "http.response.start", "status": 201, "headers": []})
    await send({"type": "http.response.body", "body": scope["path"].encode()})

app = ProgressMiddleware(upload, identify=identify)
"""
)
_WSGI = (
    _COMMON
    + """
from mod_progress.wsgi import ProgressMiddleware

def upload(environ, start_response):
    while environ["wsgi.input"].read(4096):
        pass
    start_response("201 Created", [])
    return [environ["PATH_INFO"].encode()]

app = ProgressMiddleware(upload, identify=identify)
"""
)

SERVERS = {
    "uvicorn": (_ASGI, "uvicorn --port {port} --lifespan off named_app:app"),
    "gunicorn": (_WSGI, "gunicorn --bind 127.0.0.1:{port} --threads 2 named_app:app"),
}

#: More than gunicorn reads at once.
HALF = bytes(1 << 16)
SIZE = 2 * len(HALF)

#: The id, and how it is written in a path.
IDENTIFIER, ENCODED = "own~a+b&c=d%e", "own~a+b&c=d%25e"


@pytest.mark.parametrize("name", SERVERS)
def test_an_upload_whose_id_is_in_the_path(name: str, tmp_path: Path) -> None:
    code, command = SERVERS[name]
    with (
        serve_code(code, "named_app", command, tmp_path) as (_, port),
        httpx.Client(base_url=f"http://127.0.0.1:{port}", verify=False) as client,
    ):

        def shown(member: str) -> object:
            parameters = {"X-Progress-ID": IDENTIFIER}
            try:
                return client.get("/progress", params=parameters).json().get(member)
            except httpx.TransportError:
                return None

        eventually(lambda: shown("state") == "unknown", DEADLINE)
        with socket.create_connection(("127.0.0.1", port), DEADLINE) as upload:
            fields = f"Host: a\r\nConnection: close\r\nContent-Length: {SIZE}\r\n"
            head = f"POST /node/x-progress-id:{ENCODED} HTTP/1.1\r\n{fields}\r\n"
            upload.sendall(head.encode() + HALF)
            eventually(lambda: shown("received") not in (None, 0), DEADLINE)
            assert shown("state") == "running"
            upload.sendall(HALF)
            answer = b"".join(iter(lambda: upload.recv(65536), b""))
            assert answer.startswith(b"HTTP/1.1 201")
        eventually(lambda: shown("state") == "done", DEADLINE)
