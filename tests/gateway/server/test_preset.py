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
        ("DELETE", "/progress?X-Progress-ID=own~a", {}, 404),
        ("DELETE", "/progress?X-Progress-ID=a", {}, 403),
        ("GET", "/dashboard.html", {}, 404),
        ("PUT", "/upload/a", {}, 201),
        ("PUT", "/in/a", {}, 201),
        ("PUT", "/other", {}, 405),
        ("PUT", "/upload/a", {"Sec-Fetch-Site": "same-origin"}, 201),
        # Pages of other sites, and pages whose names were pointed at this machine.
        ("PUT", "/upload/a", {"Sec-Fetch-Site": "cross-site"}, 403),
        ("POST", "/upload", {"Origin": "http://evil.example"}, 403),
        ("DELETE", "/progress?X-Progress-ID=own~a", {"Sec-Fetch-Site": "cross-site"}, 403),
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
        assert started.request("DELETE", "/progress?X-Progress-ID=own~a").status == 404
    finally:
        started.stop()


def test_what_was_saved_is_served_with_its_folders(server: Gateway, directory: Path) -> None:
    answer = server.request("PUT", "/upload/holiday/day%201/a.png", b"picture")
    assert answer.json() == {"files": [{"name": "holiday/day 1/a.png", "size": 7}]}
    assert answer.headers["location"] == "/uploads/holiday/day%201/a.png"
    assert (directory / "holiday" / "day 1" / "a.png").read_bytes() == b"picture"
    saved = server.request("GET", answer.headers["location"])
    assert (saved.status, saved.body) == (200, b"picture")
    assert saved.headers["content-type"] == "image/png"
    assert saved.headers["x-content-type-options"] == "nosniff"
    again = server.request("PUT", "/in/holiday/day%201/a.png", b"another")
    assert again.json()["files"][0]["name"] == "holiday/day 1/a (2).png"


def test_a_page_that_was_uploaded_is_no_page_of_this_server(server: Gateway) -> None:
    server.request("PUT", "/upload/evil.html", b"<script>1</script>")
    saved = server.request("GET", "/uploads/evil.html")
    assert saved.headers["content-disposition"] == "attachment"
    assert saved.headers["content-security-policy"] == "sandbox"


@pytest.mark.parametrize("path", ["/uploads", "/uploads/", "/uploads/none", "/uploads/../x"])
def test_there_is_no_list_of_what_was_saved(server: Gateway, path: str) -> None:
    assert server.request("GET", path).status == 404
