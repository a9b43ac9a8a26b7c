from __future__ import annotations

import pytest

from mod_progress.doctor import AddressError, parse_target
from mod_progress.doctor.target import Reply, request_target


@pytest.mark.parametrize(
    ("url", "host", "port", "target"),
    [
        ("http://localhost:8000/upload", "localhost", 8000, "/upload"),
        ("https://app.example", "app.example", None, "/"),
        ("http://[::1]:80/a", "::1", 80, "/a"),
        ("http://a/b c/ü?q=ü&x#part", "a", None, "/b%20c/%C3%BC?q=%C3%BC&x"),
        ("http://a/%C3%BC", "a", None, "/%C3%BC"),
        ("http://bücher.example/", "bücher.example", None, "/"),
    ],
)
def test_an_address(url: str, host: str, port: int | None, target: str) -> None:
    parsed = parse_target(url).url
    assert (parsed.hostname, parsed.port, request_target(parsed)) == (host, port, target)


@pytest.mark.parametrize(
    "url",
    [
        "",
        "localhost:8000/upload",
        "ftp://localhost/",
        "http://",
        "http:///upload",
        "http://a..b/",
        f"http://{'a' * 64}.example/",
        "http://a:port/",
        "http://a:99999/",
        "http://a:0/",
        "http://[::1/",
    ],
)
def test_what_is_no_address(url: str) -> None:
    with pytest.raises(AddressError, match="http://localhost:8000/upload is needed"):
        parse_target(url)


def test_a_path_of_the_show_that_is_none() -> None:
    with pytest.raises(AddressError, match="--show progress: a path starts with /"):
        parse_target("http://a/", "progress")


@pytest.mark.parametrize(
    ("reply", "said"),
    [
        (Reply(200, "OK"), "200 OK"),
        (Reply(302, "Found", "/login"), "302 Found, to /login"),
        (Reply(0, "TimeoutError()"), "no answer, TimeoutError()"),
    ],
)
def test_a_reply_in_words(reply: Reply, said: str) -> None:
    assert str(reply) == said


def test_a_page_of_the_app(well: int) -> None:
    target = parse_target(f"http://127.0.0.1:{well}/upload")
    for location in ("/account", "account?a=b c", f"http://127.0.0.1:{well}/account"):
        assert "password" in target.read_page(location)
    for location in ("http://pages.example/account", "http://[", "//127.0.0.1:port/"):
        assert target.read_page(location) == ""
