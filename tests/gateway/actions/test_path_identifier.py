"""Ids in the path: tracked, asked for in every way, cancelled, and never whole in a log."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import quote

import pytest

from tests.gateway import configured
from tests.gateway.running import Gateway, eventually
from tests.gateway.watching import Watching
from tests.gateway.wire import FEEDS, Client

SITE = """
setup { accesslog "LOG"; accesslog.format "json"; progress.server_timing true; }
progress.allow_origins "*";
if req.path =^ "/progress" {
    progress.cancel "^/progress/([^/]+)$";
    progress.show "^/progress/([^/]+)$";
}
else if req.path =^ "/any/" { progress.cancel "any", "^/any/(.+)$"; }
else if req.path =^ "/jsonp/" { progress.show "jsonp", "/jsonp/([^/]+)$"; }
else if req.path =^ "/events/" { progress.show "events", "/events/([^/]+)$"; }
else if req.path == "/all" { progress.show "dump"; }
else {
    progress.track "/(?:x-progress-id:|up-)([^/]*)$";
    upload.store "DIRECTORY";
}
"""

ID = "0123456789abcdef"

#: What an id may have that is written otherwise in a path.
ODD = "a+b/c//d&e=f?g%h;..#i"

OWN = "own~the-secret-of-its-owner"
SHARED = "see~" + hashlib.sha256(b"the-secret-of-its-owner").hexdigest()


class Site(NamedTuple):
    gateway: Gateway
    log: Path

    def connect(self) -> Client:
        return Client(self.gateway.port)

    def show(self, identifier: str) -> Any:
        return self.gateway.request("GET", f"/progress/{quote(identifier, safe='')}").json()


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    directory = tmp_path_factory.mktemp("path")
    log = directory / "access.log"
    text = SITE.replace("LOG", str(log)).replace("DIRECTORY", str(directory / "saved"))
    with ExitStack() as cleanup:
        gateway = configured.start(directory, text)
        cleanup.callback(gateway.stop)
        yield Site(gateway, log)


def post(path: str) -> bytes:
    return f"POST {path} HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\n".encode()


@contextmanager
def uploading(site: Site, path: str, identifier: str) -> Iterator[Client]:
    """Send half of a body, and wait until that is seen."""
    with site.connect() as client:
        client.send(post(path) + b"01234")
        eventually(lambda: site.show(identifier).get("received") == 5)
        yield client


@pytest.mark.parametrize("feed", FEEDS)
@pytest.mark.parametrize(
    ("path", "identifier"),
    [
        ("/node/add/x-progress-id:{}", ID),
        ("/x-progress-id:{}?a=b", ID),
        ("/up-{}", ID),
        ("/up-{}", "short"),
        ("/up-{}", ODD),
        ("/up-{}", OWN),
        ("/up-{}?X-Progress-ID=other", ID),
        ("/up-?X-Progress-ID={}", ID),
        ("/elsewhere?X-Progress-ID={}", ID),
    ],
)
def test_an_upload_is_tracked_and_shown(site: Site, path: str, identifier: str, feed: str) -> None:
    path = path.format(quote(identifier, safe="~"))
    with site.connect() as client:
        client.send(post(path) + b"0123456789", feed)
        answer = client.answer()
        assert answer.status == 201
        assert answer["Server-Timing"] is not None
        if feed == "with trailing data":
            assert client.answer().status == 405
    eventually(lambda: site.show(identifier)["state"] == "done")
    assert site.gateway.show(quote(identifier, safe=""))["received"] == 10
    found = site.gateway.request(
        "GET", f"/jsonp/{quote(identifier, safe='')}?X-Progress-Callback=f"
    )
    assert found.body.startswith(b'f({"state": "done", ')


@pytest.mark.parametrize("path", ["/up-", "/up-%20", "/up-a/b", f"/up-{'x' * 129}", "/up-see~a"])
def test_what_is_no_id_goes_on_untracked(site: Site, path: str) -> None:
    with site.connect() as client:
        client.send(post(path) + b"0123456789")
        answer = client.answer()
    assert answer.status == 201
    assert answer["Server-Timing"] is None


@pytest.mark.parametrize("path", ["/progress", "/progress/", "/progress/a/b", "/progress/%20"])
def test_a_question_without_an_id(site: Site, path: str) -> None:
    assert site.gateway.request("GET", path).status == 400


def test_answers_that_wait(site: Site) -> None:
    with uploading(site, f"/up-{ID}", ID) as upload:
        first = site.gateway.request("GET", f"/progress/{ID}", headers={"Prefer": "wait=20"})
        assert first.headers["preference-applied"] == "wait=20"
        known = {"If-None-Match": first.headers["etag"]}
        assert site.gateway.request("GET", f"/progress/{ID}", headers=known).status == 304
        with site.connect() as client:
            fields = f"Prefer: wait=30\r\nIf-None-Match: {first.headers['etag']}\r\n"
            client.send(f"GET /progress/{ID} HTTP/1.1\r\nHost: a\r\n{fields}\r\n".encode())
            upload.send(b"56789")
            assert upload.answer().status == 201
            assert json.loads(client.answer().body)["received"] == 10


@pytest.mark.parametrize(
    ("target", "fields"),
    [(f"/events/{SHARED}", []), (f"/progress/{SHARED}", ["Accept: text/event-stream"])],
)
def test_events(site: Site, target: str, fields: list[str]) -> None:
    with (
        uploading(site, f"/up-{OWN}", OWN) as upload,
        Watching(site.connect().socket, target, *fields) as watching,
    ):
        assert watching.fields["content-type"] == "text/event-stream"
        upload.send(b"56789")
        assert upload.answer().status == 201
        while b'"state": "done"' not in watching.rest:
            assert watching.receive()


@pytest.mark.parametrize(
    ("path", "identifier", "status"),
    [("/progress/", OWN, 204), ("/progress/", ID, 403), ("/any/", ID, 204), ("/any/", SHARED, 204)],
)
def test_cancel(site: Site, path: str, identifier: str, status: int) -> None:
    tracked = OWN if identifier == SHARED else identifier
    with uploading(site, f"/up-{tracked}", tracked) as client:
        assert site.gateway.request("DELETE", f"{path}{identifier}").status == status
        if status == 204:
            assert site.show(identifier) == {"state": "error", "status": 0}
        else:
            client.send(b"56789")
            assert client.answer().status == 201


@pytest.mark.parametrize(
    ("path", "identifier", "listed"),
    [
        ("/node/x-progress-id:{}", ID, "/node/x-progress-id:01234..."),
        ("/up-{}", ID, "/up-01234567..."),
        ("/up-{}", "abcdef", "/up-abc..."),
        ("/up-{}", "a%2F%2Fbcdefghijk", "/up-a/bcd..."),
        ("/up-{}", OWN, "/up-own~the-s..."),
        ("/x/up-{}", "%6fwn~the-secret-of-its-owner", "/x/up-own~the-s..."),
    ],
)
def test_no_list_has_a_whole_id(site: Site, path: str, identifier: str, listed: str) -> None:
    with site.connect() as client:
        client.send(post(path.format(identifier)) + b"0123456789")
        assert client.answer().status == 201

    def paths() -> list[str]:
        return [row["path"] for row in site.gateway.request("GET", "/all").json()]

    eventually(lambda: listed in paths())
    assert not [path for path in paths() if ID in path or "secret-of" in path]


def test_no_log_has_a_whole_id(site: Site) -> None:
    whole = ["fedcba9876543210", "own~another-secret", quote(ODD, safe="")]
    for each in whole:
        site.gateway.request("POST", f"/up-{each}", b"a")
        site.gateway.request(
            "GET", f"/progress/{each}", headers={"Referer": f"http://a/x-progress-id:{each}"}
        )
        site.gateway.request("DELETE", f"/progress/{each}")
        for method in ("GET", "DELETE"):
            preflight = {"Origin": "http://a", "Access-Control-Request-Method": method}
            site.gateway.request("OPTIONS", f"/progress/{each}", headers=preflight)
    site.gateway.request("GET", "/last")
    eventually(lambda: "/last" in site.log.read_text())
    log = site.log.read_text()
    assert [each for each in (*whole, ID, ODD, OWN) if each in log] == []
    assert '"target": "/up-fedcba98..."' in log
    assert '"target": "/progress/own~another-..."' in log
    assert '"referer": "http://a/x-progress-id:fedcba98..."' in log
