"""What docs/proxies.md says about nginx, with a real one and settings that stand in the way."""

from __future__ import annotations

import http.client
import json
import re
import secrets
import socket
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from tests.doctor.running import ROOT, nginx_of
from tests.doctor.test_examination import WILL, WILL_NOT, diagnose
from tests.gateway.running import PATIENCE, eventually

SNIPPETS = "".join(
    re.findall(r"(?ms)^```nginx\n(.*?)^```$", (ROOT / "docs" / "proxies.md").read_text())
)

#: What holds back all events, and changes the ETag of answers.
AGAINST = """
    gzip on;
    gzip_proxied any;
    gzip_types text/event-stream application/json;
    proxy_ignore_headers X-Accel-Buffering;
    upstream app {{ server 127.0.0.1:{port}; }}
"""

PART = 1 << 16


@pytest.fixture(scope="module")
def advised(gateway_port: int, tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    """Run nginx with what the guide says; return its port."""
    http = AGAINST.format(port=gateway_port)
    with nginx_of(SNIPPETS, tmp_path_factory.mktemp("advised"), http) as port:
        yield port


@pytest.fixture
def unadvised(gateway_port: int, tmp_path: Path) -> Iterator[int]:
    http = AGAINST.format(port=gateway_port)
    with nginx_of("location / { proxy_pass http://app; }", tmp_path, http) as port:
        yield port


def ask(port: int, identifier: str, **fields: str) -> tuple[http.client.HTTPResponse, bytes]:
    with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=WILL)) as client:
        headers = {"Accept-Encoding": "gzip", **fields}
        client.request("GET", f"/progress?X-Progress-ID={identifier}", headers=headers)
        answer = client.getresponse()
        return answer, answer.read()


def test_with_what_the_guide_says_all_is_well(advised: int) -> None:
    assert diagnose(advised) == []


def test_without_it_uploads_and_events_are_held_back(unadvised: int) -> None:
    found = diagnose(unadvised, patience=WILL_NOT)
    assert [name for name, _ in found] == ["buffered", "stream held back"]


def test_a_chunked_upload_is_not_held_back(advised: int) -> None:
    identifier = secrets.token_hex(8)

    def received() -> Any:
        return json.loads(ask(advised, identifier)[1]).get("received")

    head = f"POST /upload?X-Progress-ID={identifier} HTTP/1.1\r\nHost: a\r\n"
    with socket.create_connection(("127.0.0.1", advised), PATIENCE) as client:
        client.sendall(head.encode() + b"Transfer-Encoding: chunked\r\n\r\n")
        client.sendall(b"%x\r\n%b\r\n" % (PART, bytes(PART)))
        eventually(lambda: received() == PART)


def test_an_answer_that_waits_passes_though_it_is_compressed(unadvised: int) -> None:
    identifier = secrets.token_hex(8)
    first, _ = ask(unadvised, identifier, Prefer="wait=1")
    assert first.headers["Content-Encoding"] == "gzip"
    known = {"Prefer": "wait=1", "If-None-Match": first.headers["ETag"]}
    second, _ = ask(unadvised, identifier, **known)
    assert (second.status, second.headers["Preference-Applied"]) == (304, "wait=1")
    with socket.create_connection(("127.0.0.1", unadvised), PATIENCE) as client:
        client.sendall(
            f"POST /upload?X-Progress-ID={identifier} HTTP/1.1\r\nHost: a\r\n"
            "Content-Length: 1\r\n\r\nx".encode()
        )
        known["Prefer"] = "wait=20"
        assert ask(unadvised, identifier, **known)[0].status == 200
