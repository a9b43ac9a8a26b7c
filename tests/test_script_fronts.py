"""Both middlewares serve the script for browsers at the path that the app chose."""

from __future__ import annotations

from importlib.resources import files
from typing import Any
from wsgiref.util import setup_testing_defaults

import httpx
import pytest

from mod_progress import asgi, wsgi

MAIN = (files("mod_progress") / "web" / "progress.js").read_bytes()


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


async def asgi_app(scope: Any, receive: Any, send: Any) -> None:
    await send({"type": "http.response.start", "status": 404, "headers": []})
    await send({"type": "http.response.body", "body": b"the app's own"})


def wsgi_app(environ: Any, start_response: Any) -> list[bytes]:
    start_response("404 Not Found", [])
    return [b"the app's own"]


#: Path, root path, status.
REQUESTS = [
    ("/static/bar.js", "", 200),
    ("/static/progress-upload.js", "", 200),
    ("/bar.js", "", 404),
    ("/at/static/bar.js", "/at", 200),
    ("/at/static/bar.js", "", 404),
]


@pytest.mark.anyio
@pytest.mark.parametrize(("path", "root", "status"), REQUESTS)
async def test_asgi(path: str, root: str, status: int) -> None:
    app = asgi.ProgressMiddleware(asgi_app, store="memory", script="/static/bar.js")
    transport = httpx.ASGITransport(app=app, root_path=root)
    async with httpx.AsyncClient(transport=transport, base_url="http://a") as client:
        answer = await client.get(path)
    assert answer.status_code == status


@pytest.mark.parametrize(("path", "root", "status"), REQUESTS)
def test_wsgi(path: str, root: str, status: int) -> None:
    app = wsgi.ProgressMiddleware(wsgi_app, store="memory", script="/static/bar.js")
    environ: dict[str, Any] = {"SCRIPT_NAME": root, "PATH_INFO": path.removeprefix(root)}
    setup_testing_defaults(environ)
    begun: list[Any] = []
    body = b"".join(app(environ, lambda *head: begun.append(head)))  # type: ignore[arg-type]
    assert begun[0][0].startswith(str(status))
    if path.endswith("bar.js") and status == 200:
        assert body == MAIN
