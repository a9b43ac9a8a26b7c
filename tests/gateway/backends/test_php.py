"""PHP behind the gateway: Debian's php-fpm, and the gateway's own command."""

from __future__ import annotations

import hashlib
import http.client
import json
import os
import shutil
import signal
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from tests.answers import error, progress
from tests.gateway.php import PhpFpm
from tests.gateway.running import PATIENCE, Response, eventually
from tests.gateway.serving import Serving

SCRIPTS = Path(__file__).parent / "php"
EXAMPLES = Path(__file__).parents[3] / "examples"

SITE = """
setup {{
	module_load ["mod_fastcgi", "mod_progress"];
	listen "127.0.0.1:0";
	workers 1;
}}
docroot "{root}";
if req.path == "/progress" {{ progress.show; }}
else {{
	progress.track;
	pathinfo;
	index "index.php";
	core.xsendfile "{root}/files";
	if phys.path =$ ".php" and phys.is_file {{
		if req.header["X-Keep"] {{ fastcgi "{address}", ["keep_alive" => true]; }}
		fastcgi "{address}";
	}}
}}
"""

#: Seconds in which PHP has written a quarter of a gigabyte to a slow disk.
DISK = 60.0

GIGABYTE = 1024**3
PIECE = bytes(range(256)) * 4096


class Site:
    """A gateway with PHP behind it."""

    def __init__(self, directory: Path) -> None:
        self.root = directory / "www"
        shutil.copytree(SCRIPTS, self.root)
        shutil.copy(EXAMPLES / "upload.php", self.root)
        (self.root / "files").mkdir()
        (self.root / "files" / "one.bin").write_bytes(PIECE)
        (self.root / "picture.jpg").write_bytes(b"<?php echo 'run';")
        self.php = PhpFpm(directory)
        text = SITE.format(root=self.root, address=self.php.address)
        self.serving = Serving(directory, text)

    def connect(self) -> http.client.HTTPConnection:
        return http.client.HTTPConnection("127.0.0.1", self.serving.port, timeout=PATIENCE)

    def ask(self, path: str, method: str = "GET", body: Any = None, **fields: str) -> Response:
        """Ask on a connection of its own; a body that is an iterable goes out chunked."""
        client = self.connect()
        try:
            names = {name.replace("_", "-"): value for name, value in fields.items()}
            client.request(method, path, body, names)
            answer = client.getresponse()
            headers = {name.lower(): value for name, value in answer.getheaders()}
            return Response(answer.status, headers, answer.read())
        finally:
            client.close()

    def stop(self) -> None:
        self.serving.stop()
        self.php.stop()


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    site = Site(tmp_path_factory.mktemp("php"))
    yield site
    site.stop()


@pytest.mark.parametrize(
    ("path", "script", "path_info"),
    [
        ("/variables.php", "/variables.php", ""),
        ("/variables.php/a%20b/c", "/variables.php", "/a b/c"),
        ("/variables.php/x.php", "/variables.php", "/x.php"),
        ("/", "/index.php", ""),
        ("/some/site", "/index.php", "/some/site"),
        ("/files/", "/files/", ""),
    ],
)
def test_which_script_runs(site: Site, path: str, script: str, path_info: str) -> None:
    answer = site.ask(path + "?x=1&y=%20")
    if script.endswith("/"):
        assert answer.status == 404
        return
    told = answer.json()
    expected = {
        "SCRIPT_NAME": script,
        "SCRIPT_FILENAME": f"{site.root}{script}",
        "DOCUMENT_ROOT": str(site.root),
        "REQUEST_URI": path + "?x=1&y=%20",
        "QUERY_STRING": "x=1&y=%20",
        "PHP_SELF": script + path_info,
    }
    if path_info:
        expected |= {"PATH_INFO": path_info, "PATH_TRANSLATED": f"{site.root}{path_info}"}
    assert {name: told.get(name) for name in expected} == expected


def test_nothing_else_is_run_as_a_script(site: Site) -> None:
    assert site.ask("/picture.jpg").body == b"<?php echo 'run';"
    assert site.ask("/picture.jpg/x.php").status == 404


@pytest.mark.parametrize("keep", [{}, {"X_Keep": "yes"}], ids=["closed", "kept"])
@pytest.mark.parametrize("framing", ["sized", "chunked"])
def test_a_body_reaches_php(site: Site, framing: str, keep: dict[str, str]) -> None:
    body: Any = PIECE * 5 if framing == "sized" else iter([PIECE] * 5)
    for _ in range(2):
        answer = site.ask("/body.php", "POST", body, **keep)
        assert answer.headers["x-length"] == str(len(PIECE) * 5)
        assert answer.body.decode() == hashlib.sha256(PIECE * 5).hexdigest()
        body = PIECE * 5 if framing == "sized" else iter([PIECE] * 5)


@pytest.mark.parametrize("keep", [{}, {"X_Keep": "yes"}], ids=["closed", "kept"])
@pytest.mark.parametrize("length", ["", "&length"])
def test_a_large_answer_of_php(site: Site, length: str, keep: dict[str, str]) -> None:
    expected = b"".join(bytes([n]) * 65536 for n in range(100))
    for _ in range(2):
        answer = site.ask(f"/large.php?pieces=100{length}&X-Progress-ID=large", "POST", b"", **keep)
        assert (answer.status, answer.body == expected) == (200, True)
        assert ("content-length" in answer.headers) == bool(length)
    done = progress("done", sent=len(expected))
    eventually(lambda: site.serving.show("large") == done)


@pytest.mark.parametrize(
    ("name", "status", "field"),
    [
        ("redirect", 302, ("location", "/elsewhere?a=b")),
        ("missing", 404, ("content-length", None)),
        ("empty", 204, ("content-length", None)),
    ],
)
def test_an_answer_of_php(
    site: Site, name: str, status: int, field: tuple[str, str | None]
) -> None:
    answer = site.ask(f"/answers.php?answer={name}")
    assert (answer.status, answer.headers.get(field[0])) == (status, field[1])
    assert site.ask(f"/answers.php?answer={name}", "HEAD").status == status


def test_what_php_logs_is_in_the_log(site: Site) -> None:
    assert site.ask("/answers.php?answer=log").body == b"logged"
    eventually(lambda: site.serving.said("and there"))
    line = f"{site.php.address}: PHP message: said \\x1b[31m here"
    assert site.serving.said(line)


def test_a_file_that_php_names(site: Site) -> None:
    answer = site.ask(f"/answers.php?answer=file&path={site.root}/files/one.bin")
    assert (answer.status, answer.body == PIECE) == (200, True)
    assert answer.headers["content-type"].startswith("text/x-own")
    assert "x-sendfile" not in answer.headers


def test_a_worker_that_is_killed_before_its_answer(site: Site) -> None:
    assert site.ask("/answers.php?answer=die&X-Progress-ID=die", "POST", b"").status == 502
    eventually(lambda: site.serving.show("die") == error(502))


def test_a_worker_that_is_killed_in_its_answer(site: Site) -> None:
    client = site.connect()
    client.request("POST", "/answers.php?answer=pid&X-Progress-ID=pid", b"")
    answer = client.getresponse()
    os.kill(int(answer.readline()), signal.SIGKILL)
    with pytest.raises(http.client.IncompleteRead):
        answer.read()
    client.close()
    eventually(lambda: site.serving.show("pid")["state"] == "error")


def upload(client: http.client.HTTPConnection, target: str, size: int) -> Iterator[int]:
    """Send a form with a file in pieces; yield before each quarter how much is sent."""
    before = (
        b'--b\r\nContent-Disposition: form-data; name="file"; filename="a<b>.bin"\r\n'
        b"Content-Type: application/octet-stream\r\n\r\n"
    )
    after = b"\r\n--b--\r\n"
    whole = len(before) + size + len(after)
    client.putrequest("POST", target)
    client.putheader("Content-Type", "multipart/form-data; boundary=b")
    client.putheader("Content-Length", str(whole))
    client.endheaders(before)
    for at in range(0, size, len(PIECE)):
        if at % (size // 4) == 0:
            yield len(before) + at
        client.send(PIECE)
    client.send(after)
    yield whole


def has_received(site: Site, size: int) -> bool:
    shown = site.serving.show("big")
    return bool(shown["state"] == "running" and shown["received"] == size)


def test_a_gigabyte_is_uploaded_to_the_example_and_its_bar_is_true(site: Site) -> None:
    client = site.connect()
    for sent in upload(client, "/upload.php?X-Progress-ID=big", GIGABYTE):
        # What the gateway has is all that was sent, as soon as it has read it.
        if sent < GIGABYTE:
            eventually(partial(has_received, site, sent), DISK)
        whole = sent
    answer = client.getresponse()
    page = answer.read()
    assert answer.status == 200
    assert f"<p>a&lt;b&gt;.bin: {GIGABYTE} bytes, complete</p>".encode() in page
    client.close()
    done = progress("done", received=whole, sent=len(page), request_size=whole)
    eventually(lambda: site.serving.show("big") == done)


def test_the_example_configuration(site: Site, tmp_path: Path) -> None:
    """It is the one of `examples/php.conf`, but for its places."""
    text = (EXAMPLES / "php.conf").read_text()
    assert text[text.index("setup {") :] in (EXAMPLES.parent / "docs" / "php.md").read_text()
    for place, here in [
        ("127.0.0.1:8080", "127.0.0.1:0"),
        ("/var/www/html", str(site.root)),
        ("unix:/run/php/php-fpm.sock", site.php.address),
    ]:
        assert place in text
        text = text.replace(place, here)
    serving = Serving(tmp_path, text)
    try:
        status, page = serving.get("/upload.php")
        assert status == 200
        assert b"<form data-progress" in page
        assert serving.get("/progress/progress.js")[0] == 200
        assert json.loads(serving.get("/some/site")[1])["PATH_INFO"] == "/some/site"
        assert serving.get("/picture.jpg")[1] == b"<?php echo 'run';"
    finally:
        serving.stop()
