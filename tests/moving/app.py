"""The app behind both servers: it answers with what reached it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

Start = Callable[[str, list[tuple[str, str]]], object]


def application(environ: dict[str, Any], start: Start) -> list[bytes]:
    if environ["PATH_INFO"].endswith("/moved"):
        start("302 Found", [("Location", "/app/list"), ("Content-Length", "0")])
        return []
    told = {
        "method": environ["REQUEST_METHOD"],
        "host": environ["HTTP_HOST"],
        "path": environ["PATH_INFO"],
        "query": environ["QUERY_STRING"],
        "body": hashlib.sha256(_body(environ)).hexdigest(),
    }
    text = json.dumps(told).encode()
    start("200 OK", [("Content-Type", "application/json"), ("Content-Length", str(len(text)))])
    return [text]


def _body(environ: dict[str, Any]) -> bytes:
    """Return the body of the request, or the file that a server has put it into."""
    if "HTTP_X_FILE" in environ:
        return Path(environ["HTTP_X_FILE"]).read_bytes()
    body = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
    assert isinstance(body, bytes)
    return body
