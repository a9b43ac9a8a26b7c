"""What the modules of nginx and Apache answered, as it was recorded."""

from __future__ import annotations

import ast
import re
from pathlib import Path
from typing import NamedTuple

RECORDED = Path(__file__).with_name("recorded")

#: A line for an answer: what was asked when, the status, the media type, and the body.
_LINE = re.compile(r"(.+?) +(\d{3}) (\S+(?:; \S+)?) +('.*'|\".*\")")

#: A whole answer: a headline, the head, and the body.
_WHOLE = re.compile(r"## (.+)\nHTTP/1.1 (\d{3}) .*\n((?:[\w-]+: .*\n)+)BODY ('.*'|\".*\")")


class Recorded(NamedTuple):
    """An answer: what was asked when, and what came."""

    asked: str
    status: int
    fields: dict[str, str]
    body: bytes


def _read(name: str) -> list[Recorded]:
    text = (RECORDED / name).read_text()
    whole = [
        Recorded(asked, int(status), dict(re.findall(r"(.+?): (.*)\n", head)), _bytes(body))
        for asked, status, head, body in _WHOLE.findall(text)
    ]
    lines = [
        Recorded(asked, int(status), {"Content-Type": kind}, _bytes(body))
        for asked, status, kind, body in _LINE.findall(text)
    ]
    return whole + lines


def _bytes(literal: str) -> bytes:
    text = ast.literal_eval(literal)
    assert isinstance(text, str)
    return text.encode()


NGINX = _read("nginx-0.9.2.txt")
APACHE = _read("apache-0.2.txt")
