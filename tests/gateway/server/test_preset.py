from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from mod_progress.gateway.backends.http import HttpBackend
from mod_progress.gateway.server import preset
from mod_progress.gateway.server.site import Site
from tests.gateway.running import Gateway


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("preset") / "uploads"


@pytest.fixture(scope="module")
def server(directory: Path) -> Iterator[Gateway]:
    started = Gateway(Site(action=preset.storing(str(directory), track="/in")))
    yield started
    started.stop()


@pytest.mark.parametrize(
    ("method", "path", "headers", "status"),
    [
        ("GET", "/", {}, 200),
        ("GET", "/progress.js", {}, 200),
        ("GET", "/progress?X-Progress-ID=a", {}, 200),
        ("PUT", "/upload/a", {}, 201),
        ("PUT", "/in/a", {}, 201),
        ("PUT", "/other", {}, 405),
        ("PUT", "/upload/a", {"Sec-Fetch-Site": "same-origin"}, 201),
        # Pages of other sites, and pages whose names were pointed at this machine.
        ("PUT", "/upload/a", {"Sec-Fetch-Site": "cross-site"}, 403),
        ("POST", "/upload", {"Origin": "http://evil.example"}, 403),
        ("POST", "/upload", {"Host": "evil.example", "Sec-Fetch-Site": "same-origin"}, 403),
        ("GET", "/progress?X-Progress-ID=a", {"Host": "evil.example"}, 403),
    ],
)
def test_the_page_and_its_uploads_are_for_pages_of_this_server(
    server: Gateway, method: str, path: str, headers: dict[str, str], status: int
) -> None:
    body = None if method == "GET" else b"x"
    assert server.request(method, path, body, headers).status == status


def test_a_backend_judges_by_itself_who_may_send() -> None:
    """Its requests may come from other sites, and its names are its own."""
    started = Gateway(Site(action=preset.proxying(HttpBackend("127.0.0.1:1"))))
    try:
        headers = {"Host": "www.example.com", "Sec-Fetch-Site": "cross-site"}
        assert started.request("POST", "/", b"x", headers).status == 502
    finally:
        started.stop()
