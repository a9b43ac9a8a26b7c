"""Both middlewares answer in the dialects of nginx's and Apache's modules."""

from __future__ import annotations

import re
from typing import Any

import httpx
import pytest

from mod_progress import asgi, wsgi
from tests.asgi.asgi_server import ask


async def asgi_app(scope: Any, receive: Any, send: Any) -> None:
    while (await receive())["more_body"]:
        pass
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"thank you"})


def wsgi_app(environ: Any, start_response: Any) -> list[bytes]:
    environ["wsgi.input"].read()
    start_response("200 OK", [("Content-Length", "9")])
    return [b"thank you"]


#: The parameter, what the query says, the media type, and the answer.
QUESTIONS = [
    ("nginx", "", "text/javascript", r'\(\{ "state" : "done" \}\);'),
    ("nginx", "&callback=f", "text/javascript", r'f\(\{ "state" : "done" \}\);'),
    ("nginx.java", "", "text/javascript", r"new Object\(\{ 'state' : 'done' \}\)"),
    ("json", "&format=nginx.json", "application/json", r'\{ "state" : "done" \}'),
    (
        "apache",
        "&callback=f",
        "application/json",
        r'f\(\{ "state": "done", "size": 5, "speed": \d, "started_at": \d{10},'
        r' "completed_at": \d{10}, "uuid": "an-upload" \}\);',
    ),
]


@pytest.mark.parametrize(("form", "query", "media_type", "body"), QUESTIONS)
def test_asgi(form: str, query: str, media_type: str, body: str) -> None:
    app = asgi.ProgressMiddleware(asgi_app, store="memory", format=form)
    ask(app, "POST", "/upload?X-Progress-ID=an-upload", content=b"hello")
    answer = ask(app, "GET", f"/progress?X-Progress-ID=an-upload{query}")
    assert answer.headers["Content-Type"] == media_type
    assert re.fullmatch(f"{body}\r\n", answer.text)


@pytest.mark.parametrize(("form", "query", "media_type", "body"), QUESTIONS)
def test_wsgi(form: str, query: str, media_type: str, body: str) -> None:
    app: Any = wsgi.ProgressMiddleware(wsgi_app, store="memory", format=form)
    with httpx.Client(
        transport=httpx.WSGITransport(app), base_url="http://app", verify=False
    ) as client:
        client.post("/upload?X-Progress-ID=an-upload", content=b"hello")
        answer = client.get(f"/progress?X-Progress-ID=an-upload{query}")
    assert answer.headers["Content-Type"] == media_type
    assert re.fullmatch(f"{body}\r\n", answer.text)
