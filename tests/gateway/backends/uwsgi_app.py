"""A WSGI app that a real uWSGI runs for the tests."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator
from typing import Any

Start = Callable[[str, list[tuple[str, str]]], object]

PIECES = 100
PIECE = 65536


def application(environ: dict[str, Any], start: Start) -> Any:
    name = environ["PATH_INFO"].rpartition("/")[2]
    return globals().get(f"answer_{name}", answer_variables)(environ, start)


def answer_variables(environ: dict[str, Any], start: Start) -> list[bytes]:
    text = json.dumps({name: value for name, value in environ.items() if isinstance(value, str)})
    start("200 OK", [("Content-Type", "application/json"), ("Content-Length", str(len(text)))])
    return [text.encode()]


def answer_digest(environ: dict[str, Any], start: Start) -> list[bytes]:
    digest = hashlib.sha256()
    left = int(environ["CONTENT_LENGTH"])
    while left:
        data = environ["wsgi.input"].read(min(left, PIECE))
        digest.update(data)
        left -= len(data)
    start("201 Created", [("X-Length", environ["CONTENT_LENGTH"])])
    return [digest.hexdigest().encode()]


def answer_sized(environ: dict[str, Any], start: Start) -> Iterator[bytes]:
    start("200 OK", [("Content-Length", str(PIECES * PIECE))])
    return pieces()


def answer_unsized(environ: dict[str, Any], start: Start) -> Iterator[bytes]:
    start("200 OK", [])
    return pieces()


def answer_missing(environ: dict[str, Any], start: Start) -> list[bytes]:
    start("404 Not Found", [("Content-Length", "2")])
    return [b"no"]


def pieces() -> Iterator[bytes]:
    for number in range(PIECES):
        yield bytes([number]) * PIECE
