"""A real gateway with several workers cancels transfers, with each store that workers share."""

from __future__ import annotations

import hashlib
import http.client
import json
import socket
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.gateway.origin import Origin
from tests.gateway.running import PATIENCE, eventually
from tests.gateway.serving import Serving
from tests.stores.store_servers import RedisServer

SITE = """
setup {
    module_load ["mod_progress", "mod_proxy"];
    listen "127.0.0.1:0";
    workers 2;
}
progress.methods "GET", "POST";
if req.path == "/progress" { progress.cancel; progress.show; }
else if req.path == "/any" { progress.cancel "any"; progress.show; }
else if req.path == "/off" { progress.show; }
else {
    progress.track;
    if req.path == "/save" { upload.store "saved"; } else { proxy "ORIGIN"; }
}
"""


class Sent(NamedTuple):
    """A request that does not end by itself."""

    target: str
    length: int = 0
    part: bytes = b""


CUT = {"state": "error", "status": 0}


@pytest.fixture(scope="module", params=["local", "redis"])
def serving(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Serving]:
    origin = Origin()
    directory = tmp_path_factory.mktemp("site")
    redis = RedisServer(directory, "--bind", "127.0.0.1")
    if request.param == "redis":
        redis.start()
    url = redis.url if request.param == "redis" else "local"
    site = SITE.replace("ORIGIN", origin.address)
    started = Serving(directory, site, "--store-url", url)
    yield started
    started.stop()
    redis.kill()
    origin.stop()


def shared(identifier: str) -> str:
    secret = identifier.removeprefix("own~")
    return "see~" + hashlib.sha256(secret.encode()).hexdigest()


def delete(serving: Serving, path: str, identifier: str) -> tuple[int, dict[str, str], bytes]:
    """Send it on a connection of its own, so that any worker may get it.

    It is repeated while another process keeps the store from writing.
    """
    deadline = time.monotonic() + PATIENCE
    while True:
        client = http.client.HTTPConnection("127.0.0.1", serving.port)
        try:
            client.request("DELETE", f"{path}?X-Progress-ID={identifier}")
            answer = client.getresponse()
            if answer.status != 503 or time.monotonic() > deadline:
                return answer.status, dict(answer.getheaders()), answer.read()
        finally:
            client.close()


def cancel(serving: Serving, path: str, identifier: str) -> tuple[int, bytes]:
    """Cancel a transfer that is running. Another worker may learn of it only a moment later."""
    while True:
        status, _, body = delete(serving, path, identifier)
        if status != 404:
            return status, body
        assert serving.show(identifier)["state"] != "error"


def begin(serving: Serving, sent: Sent, identifier: str) -> socket.socket:
    method = "POST" if sent.length else "GET"
    client = serving.connect()
    head = f"{method} {sent.target}?X-Progress-ID={identifier} HTTP/1.1\r\nHost: a\r\n"
    client.sendall(f"{head}Content-Length: {sent.length}\r\n\r\n".encode() + sent.part)
    eventually(lambda: serving.show(identifier)["state"] == "running")
    return client


def is_cut(client: socket.socket) -> bool:
    """Whether the connection ends."""
    with suppress(ConnectionError):
        while client.recv(1 << 20):
            pass
    return True


TRANSFERS = {
    "a body that is copied": Sent("/status/200", 1000, b"a" * 400),
    "a body that the kernel moves": Sent("/status/200", 1 << 30, b"a" * (1 << 20)),
    "a body that is saved": Sent("/save", 1 << 20, b"a" * 400),
    "an answer that does not come": Sent("/gate"),
    "an answer that is not read": Sent(f"/bytes/{1 << 26}"),
}


@pytest.mark.parametrize("name", TRANSFERS)
def test_whoever_may_cancels_and_the_connections_end(
    serving: Serving, name: str, tmp_path: Path
) -> None:
    # Either worker may have the transfer, and either may get the request to cancel it.
    for path, identifier in [
        ("/progress", f"own~{tmp_path.name}"),
        ("/any", tmp_path.name),
    ]:
        with begin(serving, TRANSFERS[name], identifier) as client:
            assert cancel(serving, path, identifier) in [
                (204, b""),
                (202, b'{"state": "running"}'),
            ]
            eventually(lambda: serving.show(identifier) == CUT)  # noqa: B023
            assert is_cut(client)
        # It has ended, which is no error.
        eventually(lambda: delete(serving, path, identifier)[0] == 204)  # noqa: B023
    saved = serving.configuration.with_name("saved")
    assert not saved.exists() or list(saved.iterdir()) == []


def test_who_may_not_and_what_is_not_there(serving: Serving) -> None:
    with begin(serving, Sent("/status/200", 100), "own~mine") as client:
        for path, identifier, status in [
            ("/progress", shared("own~mine"), 403),
            ("/progress", "plain", 403),
            ("/progress", "own~other", 404),
            ("/progress", "", 400),
            ("/any", "plain", 404),
            ("/off", "own~mine", 405),
        ]:
            found, fields, body = delete(serving, path, identifier)
            assert found == status, (path, identifier)
            if status == 405:
                assert fields["Allow"] == "GET, HEAD"
            else:
                assert list(json.loads(body)) == ["error"]
        assert serving.show("own~mine")["state"] == "running"
        assert cancel(serving, "/any", shared("own~mine"))[0] in (202, 204)
        eventually(lambda: serving.show("own~mine") == CUT)
        assert is_cut(client)
