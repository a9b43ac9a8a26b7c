"""The dashboard of a real gateway, behind an address and a password."""

from __future__ import annotations

import json
from base64 import b64encode
from collections.abc import Iterator

import bcrypt
import pytest

from tests.gateway.actions.test_dump import ask
from tests.gateway.serving import Serving

SITE = """
setup {
    module_load ["mod_progress", "mod_access", "mod_auth"];
    listen "127.0.0.1:0";
}
if req.path =^ "/all" {
    if req.remoteip =/ "127.0.0.0/8" {
        auth.basic "passwords", "transfers";
        if req.path =^ "/all/cancelling/" { progress.dashboard "cancel"; }
        else { progress.dashboard; }
    } else {
        access.deny;
    }
}
else if req.path =^ "/foreign/" {
    if req.remoteip =/ "10.0.0.0/8" { progress.dashboard; } else { access.deny; }
}
else { respond 404; }
"""

LOGIN = f"Basic {b64encode(b'ada:secret').decode()}"


@pytest.fixture(scope="module")
def serving(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serving]:
    directory = tmp_path_factory.mktemp("site")
    password = bcrypt.hashpw(b"secret", bcrypt.gensalt(4, prefix=b"2b")).decode()
    (directory / "passwords").write_text(f"ada:{password}\n")
    started = Serving(directory, SITE)
    yield started
    started.stop()


@pytest.mark.parametrize(
    ("method", "path", "status", "has"),
    [
        ("GET", "/all/", 200, b"<title>Transfers"),
        ("HEAD", "/all/", 200, b""),
        ("GET", "/all/dashboard.css", 200, b"color-scheme"),
        ("GET", "/all/dump?state=running", 200, b"[]"),
        ("GET", "/all/dump?limit=0", 400, b"limit"),
        ("GET", "/all", 308, b""),
        ("GET", "/all/index.html", 404, b"no such file"),
        ("POST", "/all/", 405, b"GET, HEAD"),
        ("DELETE", "/all/dump", 405, b"GET, HEAD"),
        ("DELETE", "/all/cancelling/dump", 400, b"id and started"),
        (
            "DELETE",
            "/all/cancelling/dump?id=a&started=2026-01-31",
            404,
            b"no transfer",
        ),
        ("DELETE", "/all/cancelling/", 405, b"GET, HEAD"),
        ("GET", "/all/cancelling/dump", 200, b"[]"),
    ],
)
def test_one_password_for_all_of_it(
    serving: Serving, method: str, path: str, status: int, has: bytes
) -> None:
    assert ask(serving, path, method)[0].status == 401
    answer, body = ask(serving, path, method, Authorization=LOGIN)
    assert (answer.status, has in body) == (status, True)


def test_the_page_has_its_policy_and_the_list_its_numbers(serving: Serving) -> None:
    page, _ = ask(serving, "/all/", Authorization=LOGIN)
    assert "default-src 'none'" in page.headers["Content-Security-Policy"]
    listed, body = ask(serving, "/all/dump", Authorization=LOGIN)
    assert (listed.headers["X-Progress-Total"], json.loads(body)) == ("0", [])
    assert ask(serving, "/all", Authorization=LOGIN)[0].headers["Location"] == "./all/"


@pytest.mark.parametrize("path", ["/foreign/", "/foreign/dump", "/foreign/dashboard.js"])
def test_another_address_gets_nothing(serving: Serving, path: str) -> None:
    assert ask(serving, path)[0].status == 403
