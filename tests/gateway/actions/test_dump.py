"""The listing of a real gateway with several workers, as its configuration permits it."""

from __future__ import annotations

import http.client
import json
from collections.abc import Iterator
from typing import Any

import pytest

from tests.gateway.origin import Origin
from tests.gateway.running import eventually
from tests.gateway.serving import Serving

SITE = """
setup {
    module_load ["mod_progress", "mod_proxy", "mod_access"];
    listen "127.0.0.1:0";
    workers 2;
}
if req.path == "/all" {
    if req.remoteip =/ "127.0.0.0/8" { progress.show "dump"; } else { access.deny; }
}
else if req.path == "/ids" { progress.show "dump-ids"; }
else if req.path == "/foreign" {
    if req.remoteip =/ "10.0.0.0/8" { progress.show "dump"; } else { access.deny; }
}
else if req.path == "/progress" { progress.show; }
else { progress.track; proxy "ORIGIN"; }
"""

ID = "0123456789abcdef"


@pytest.fixture(scope="module")
def serving(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serving]:
    origin = Origin()
    started = Serving(tmp_path_factory.mktemp("site"), SITE.replace("ORIGIN", origin.address))
    yield started
    started.stop()
    origin.stop()


def ask(
    serving: Serving, path: str, method: str = "GET", **headers: str
) -> tuple[http.client.HTTPResponse, bytes]:
    client = http.client.HTTPConnection("127.0.0.1", serving.port)
    try:
        client.request(method, path, headers=headers)
        answer = client.getresponse()
        return answer, answer.read()
    finally:
        client.close()


def rows(serving: Serving, path: str) -> list[dict[str, Any]]:
    answer, body = ask(serving, path)
    assert answer.status == 200
    found: list[dict[str, Any]] = json.loads(body)
    return found


def test_an_upload_and_a_finished_one_of_any_worker(serving: Serving) -> None:
    head = f"POST /status/201?X-Progress-ID={ID}&token=secret HTTP/1.1\r\nHost: a\r\n"
    with serving.connect() as client:
        client.sendall(f"{head}Content-Length: 1000\r\n\r\n".encode() + bytes(400))
        # It begins before the other one does.
        eventually(
            lambda: [row["received"] for row in rows(serving, "/all?state=running")] == [400]
        )
        done = "POST /status/201?X-Progress-ID=done HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n"
        with serving.connect() as other:
            other.sendall(f"{done}Connection: close\r\n\r\n".encode())
            assert b" 201 " in b"".join(iter(lambda: other.recv(65536), b""))
        eventually(lambda: [row["state"] for row in rows(serving, "/all")] == ["done", "running"])
        # Each worker keeps a page for a second, so from here on no page is asked for twice.
        (row,) = rows(serving, "/all?state=running&limit=7")
        assert (row["id"], row["path"], row["peer"]) == ("01234567...", "/status/201", "127.0.0.1")
        assert (row["direction"], row["request_size"]) == ("upload", 1000)
        assert [row["id"] for row in rows(serving, "/ids?sort=state")] == [ID, "done"]
        answer, body = ask(serving, "/all?limit=1")
        assert answer.headers["X-Progress-Total"] == "2"
        assert answer.headers["X-Progress-States"] == "running=1, done=1, error=0"
        assert answer.headers["Link"].startswith("<?limit=1&after=")
        assert b"secret" not in body
        tag = answer.headers["ETag"]
        assert ask(serving, "/all?limit=1", **{"If-None-Match": tag})[0].status == 304


@pytest.mark.parametrize(
    ("method", "path", "status", "said"),
    [
        ("HEAD", "/all", 200, b""),
        ("POST", "/all", 405, b"GET, HEAD"),
        ("GET", "/foreign", 403, b""),
        ("GET", "/all?limit=0", 400, b"limit: '0' is not a number from 1 to 1000"),
        ("GET", "/progress?format=dump", 400, b"X-Progress-ID is missing"),
    ],
)
def test_what_is_no_list(
    serving: Serving, method: str, path: str, status: int, said: bytes
) -> None:
    answer, body = ask(serving, path, method)
    assert answer.status == status
    assert said in body
    assert not body.startswith(b"[")
